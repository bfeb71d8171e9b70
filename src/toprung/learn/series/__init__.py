"""Models of windows: what they read, learn beside, and are saved as."""
