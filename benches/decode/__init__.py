"""What decoding finds of what was found plainly, and what it finds in innocent text."""
