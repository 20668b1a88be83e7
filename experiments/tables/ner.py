"""Named-entity recognition on CoNLL-2003."""

from experiments.tables.table import (
    ATTENTION,
    CONTROL,
    FIXED_3,
    FIXED_5,
    MIXED,
    MIXTURE,
    Row,
    Table,
    trial,
    tuned,
    tuned_note,
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
    "fixed_skip_3": Row(
        f"{FIXED_3}, lamda 1", {"cell": "fixed_skip", "skip": 3}, {"test_f1_sampled": 91.14}
    ),
    "fixed_skip_5": Row(
        f"{FIXED_5}, lamda 1", {"cell": "fixed_skip", "skip": 5}, {"test_f1_sampled": 91.16}
    ),
    "attention": Row(f"{ATTENTION}, lamda 1", {"cell": "attention"}, {"test_f1_sampled": 91.23}),
    "dynamic_skip": Row("dynamic skips, K = 5, lamda 1", {}, {"test_f1_sampled": 91.56}),
    "lample": Row(
        "LSTM over characters, BiLSTM-CRF",
        {"preset": "lample"},
        {"test_f1_sampled": 90.94},
        "Lample et al. 2016",
    ),
    "chiu": Row(
        "BiLSTM-CNN, scores of each direction",
        {"preset": "chiu", "word_size": 100},
        {"test_f1_sampled": 90.91},
        "Chiu & Nichols 2016",
    ),
    "idcnn": Row(
        "ID-CNN-CRF, no recurrent layer",
        {"preset": "idcnn"},
        {"test_f1_sampled": 90.54},
        "Strubell et al. 2017",
    ),
    "huang": Row(
        "BiLSTM-CRF, SENNA's vectors and gazetteer",
        {},
        {"test_f1_sampled": 90.10},
        "Huang et al. 2015",
        quoted=True,
    ),
    # The paper does not say whether its fixed skips replace the last state or are mixed with it.
    "fixed_skip_3_lamda0.5": Row(
        f"{FIXED_3}, lamda 0.5", {"cell": "fixed_skip", "skip": 3, "lamda": 0.5}
    ),
    "straight_through": Row(
        "dynamic skips, K = 5, lamda 1, straight-through", {"estimator": "straight_through"}
    ),
    "straight_through_lamda0.5": Row(
        "dynamic skips, K = 5, lamda 0.5, straight-through",
        {"estimator": "straight_through", "lamda": 0.5},
    ),
}


def _huang(label: str, f1: float, **flags: str | bool) -> Row:
    return Row(label, flags, {"test_f1_sampled": f1}, "Huang et al. 2015")


_HUANG_NOTE = (
    "Preset huang: features, sizes and ten epochs are theirs; a rate of .3 in place of .1, dropout "
    ".5 and words seen once that are unknown half of the time are ours, chosen on dev "
    "([more](../NER/README.md))."
)
# Their five networks, all with hand-made features of words and of their surroundings.
_HUANG_ROWS = {
    "lstm": _huang("LSTM", 79.82, bidirectional=False, crf=False),
    "bilstm": _huang("BiLSTM", 81.11, crf=False),
    "crf": _huang("CRF", 83.02, model="linear"),
    "lstm_crf": _huang("LSTM-CRF", 84.10, bidirectional=False),
    "bilstm_crf": _huang("BiLSTM-CRF", 84.26),
    "dynamic_skip": Row(
        "BiLSTM-CRF with dynamic skips, K = 5, lamda 1",
        {"cell": "dynamic_skip", "previous_bias": 2.0},
        control="bilstm_crf",
    ),
}

_SMALL = {"preset": "paper", "max_train_examples": 3000, "max_epochs": 10, **MIXTURE}
_TUNED_ROWS = {
    name: (_NER_ROWS | trial(5))[name]
    for name in (
        "lstm",
        CONTROL,
        "attention_lamda0.5",
        "straight_through_lamda0.5",
    )
}

_GRID = {"learning_rate": (0.015, 0.03, 0.06), "dropout": (0.5, 0.3, 0.1)}

_GLOVE = "embeddings/glove.6B.100d.partial_conll.txt"
_GLOVE_NOTE = "Word vectors: 10,877 of GloVe's, for 81 % of the tokens; the others random."

NER = {
    "ner_small": Table(
        "Named-entity recognition, CoNLL-2003, small scale "
        "(3,000 training sentences, 10 epochs): F1 (%)",
        "NER",
        _F1,
        {
            **without_paper(_NER_ROWS),
            **trial(5),
            # Not ahead of 4 samples of each example, at the same cost.
            "mixture_lamda0.5": Row(
                "dynamic skips, K = 5, lamda 0.5, mixture of 4 samples, VIMCO (removed since)",
                {},
                quoted=True,
            ),
        },
        _SMALL,
        data="conll2003",
        vectors=_GLOVE,
        hours=0.3,
        note=_GLOVE_NOTE,
    ),
    "ner_tuned_small": Table(
        "Named-entity recognition, CoNLL-2003, small scale, rate and dropout chosen on dev for "
        "each row: F1 (%)",
        "NER",
        _F1,
        tuned(_TUNED_ROWS, _GRID, of="ner_small"),
        _SMALL,
        data="conll2003",
        vectors=_GLOVE,
        hours=0.1,
        seeds=5,
        note=f"{tuned_note(_GRID)} {_GLOVE_NOTE}",
        tuned=True,
    ),
    "ner": Table(
        "Named-entity recognition, CoNLL-2003: F1 (%)",
        "NER",
        _F1,
        {**_NER_ROWS, CONTROL: trial(5)[CONTROL]},
        {"preset": "paper", **MIXTURE},
        data="conll2003",
        vectors=_GLOVE,
        hours=0.8,
        note=_GLOVE_NOTE,
    ),
    "ner_features_small": Table(
        "Named-entity recognition with hand-made features, CoNLL-2003, random word vectors, "
        "small scale (3,000 training sentences): F1 (%)",
        "NER",
        _F1,
        without_paper(_HUANG_ROWS),
        {"preset": "huang", "max_train_examples": 3000, **MIXTURE},
        data="conll2003",
        hours=0.05,
        note=_HUANG_NOTE,
    ),
    "ner_features": Table(
        "Named-entity recognition with hand-made features, CoNLL-2003, random word vectors: F1 (%)",
        "NER",
        _F1,
        _HUANG_ROWS,
        {"preset": "huang", **MIXTURE},
        data="conll2003",
        hours=0.2,
        note=_HUANG_NOTE,
    ),
}
