"""Clip lists: which clips there are, with which labels, and when each sounds."""
