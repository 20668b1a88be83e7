"""Language modelling on the Penn Treebank, by words or by characters."""
