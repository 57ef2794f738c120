"""What "flat" means of memory: the larger work holds at most a ninth more than the smaller."""

FLAT = 0.9
