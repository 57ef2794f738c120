"""What a user would pick instead, written as its users write it; nothing of mmat is in it."""
