"""Everything that is wrong with a submission zip."""
