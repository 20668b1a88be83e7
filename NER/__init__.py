"""Named entity recognition on CoNLL-2003."""
