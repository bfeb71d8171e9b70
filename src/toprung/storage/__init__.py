"""Results that every machine reaches: objects under a URL, and a copy of them at hand."""
