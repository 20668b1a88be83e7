"""Named-entity recognition on CoNLL-2003."""

from experiments.tables.table import (
    ATTENTION,
    FIXED_3,
    FIXED_5,
    MIXED,
    MIXTURE,
    Row,
    Table,
    trial,
    without_paper,
)

_F1 = (
    ("dev_f1_sampled", "dev, sampled", 2, 1.0),
    ("test_f1_sampled", "test, sampled", 2, 1.0),
    ("test_f1_greedy", "test, greedy", 2, 1.0),
    ("test_f1_mixture16", MIXED, 2, 1.0),
)

_NER_ROWS = {
    "lstm": Row("BiLSTM-CNN-CRF", {"cell": "lstm"}, {"test_f1_sampled": 91.21}, "Ma & Hovy 2016"),
    "fixed_skip_3": Row(FIXED_3, {"cell": "fixed_skip", "skip": 3}, {"test_f1_sampled": 91.14}),
    "fixed_skip_5": Row(FIXED_5, {"cell": "fixed_skip", "skip": 5}, {"test_f1_sampled": 91.16}),
    "attention": Row(ATTENTION, {"cell": "attention"}, {"test_f1_sampled": 91.23}),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, {"test_f1_sampled": 91.56}),
    "straight_through": Row(
        "dynamic skips, K = 5, lamda 1, straight-through", {"estimator": "straight_through"}
    ),
    "straight_through_lamda0.5": Row(
        "dynamic skips, K = 5, lamda 0.5, straight-through",
        {"estimator": "straight_through", "lamda": 0.5},
    ),
}

_GLOVE = "embeddings/glove.6B.100d.partial_conll.txt"
_GLOVE_NOTE = "Word vectors: 10,877 of GloVe's, for 81 % of the tokens; the others random."

NER = {
    "ner_small": Table(
        "Named-entity recognition, CoNLL-2003, small scale "
        "(3,000 training sentences, 10 epochs): F1 (%)",
        "NER",
        _F1,
        {**without_paper(_NER_ROWS), **trial(5)},
        {"preset": "paper", "max_train_examples": 3000, "max_epochs": 10, **MIXTURE},
        data="conll2003",
        vectors=_GLOVE,
        hours=0.3,
        note=_GLOVE_NOTE,
    ),
    "ner": Table(
        "Named-entity recognition, CoNLL-2003: F1 (%)",
        "NER",
        _F1,
        _NER_ROWS,
        {"preset": "paper", **MIXTURE},
        data="conll2003",
        vectors=_GLOVE,
        hours=0.8,
        note=_GLOVE_NOTE,
    ),
}
