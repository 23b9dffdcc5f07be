"""What a submission zip holds, as arrays."""
