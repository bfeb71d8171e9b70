"""Models of windows of several modalities: what they read, learn beside, and are saved as."""
