"""The page of `mmat app`: a clip in, its tags out, on this machine alone."""
