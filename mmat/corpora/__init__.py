"""What is fetched and made: weights, public lists, and corpora of sounds and of speech."""
