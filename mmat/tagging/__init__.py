"""Tag media files: what sounds in them, and when."""
