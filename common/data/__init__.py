"""Readers that several tasks share: text, vectors, batches, archives, a generated corpus."""
