"""Models that write texts: what they read, how they decode, and what they are saved as."""
