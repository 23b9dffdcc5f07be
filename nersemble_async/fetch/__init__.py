"""How bytes arrive: plan, ranges, transfers, retries, evidence."""
