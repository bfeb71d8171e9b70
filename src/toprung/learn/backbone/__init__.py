"""Pretrained encoders: cards that describe them, and loading, cutting and sharing them."""
