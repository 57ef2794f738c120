"""What an evaluation leaves: figures with intervals, tables, and a page to look at."""
