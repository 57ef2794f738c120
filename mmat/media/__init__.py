"""Media files in: 16 kHz mono sound and RGB pictures out."""
