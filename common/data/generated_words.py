"""The words and phrases that generated_corpus.py draws from.

The words of its first grammar, and names, are in order of frequency: earlier ones are drawn more
often. Phrases are drawn with equal probability.
"""

NOUNS = (
    "sailor captain teacher student farmer doctor lawyer writer singer baker banker driver painter"
    " soldier worker manager child woman man neighbor visitor investor engineer gardener senator"
    " analyst reporter trader broker owner cousin pilot house boat bridge garden window letter"
    " table picture story song book tower machine engine market company office school train river"
    " mountain bird horse dog cat tree"
).split()
IRREGULAR_PLURALS = {"child": "children", "woman": "women", "man": "men"}

TRANSITIVE = (
    "see know like watch follow help meet hear remember admire draw visit find want leave praise"
    " blame ignore support describe mention trust expect"
).split()
INTRANSITIVE = (
    "sleep wait smile laugh arrive work return sing vanish fall rise change move talk grow stop"
    " continue"
).split()

ADJECTIVES = (
    "old new small large young quiet strong famous cheap dark bright happy heavy honest early"
    " clever proud strange gentle empty rich simple careful lonely"
).split()
ADVERBS = (
    "slowly often today again quickly together loudly soon rarely everywhere abroad eventually"
    " twice".split()
)
PREPOSITIONS = "near behind with beside under from against without".split()
TOPICS = (
    "harbor budget weather election festival factory storm airport museum merger harvest strike"
    " hotel library"
).split()
DETERMINERS = {False: "the a this every".split(), True: "the some these many".split()}

NAMES = (
    "Jordan Lincoln Austin Chelsea Madison Florence Sydney Carter Houston Kent Santiago Victoria"
    " Marion Orlando Denver Troy Salem Dover Marlow Preston Clifton Ashby Hilton Milton Paris"
    " Verona Alba Camden Jackson Monroe Regina Lorenz Norton Wells Warwick Sterling Hudson Dallas"
    " Avon Mercer"
).split()
BEFORE = {
    "PER": (
        "the jury heard",
        "voters elected",
        "she married",
        "he thanked his uncle",
        "police arrested",
    ),
    "LOC": ("they flew to", "we live in", "it rained in", "the road leads to", "he was buried at"),
    "ORG": (
        "she owns shares of",
        "he joined the board of",
        "workers left",
        "banks lent money to",
        "he sued",
    ),
    "MISC": (
        "he won the",
        "she translated the",
        "they celebrate the",
        "children learn",
        "it was written in",
    ),
}
AFTER = {
    "PER": ("smiled", "retired at 60", "was born in May", "thanked the voters", "broke a leg"),
    "LOC": (
        "was flooded",
        "has 40000 inhabitants",
        "lies in the north",
        "borders the sea",
        "was cut off by snow",
    ),
    "ORG": (
        "raised its dividend",
        "cut 300 jobs",
        "reported a loss",
        "was founded in 1990",
        "hired a new chairman",
    ),
    "MISC": (
        "is spoken by few",
        "was first held in 1970",
        "sold many copies",
        "is taught in schools",
        "is sung here",
    ),
}
FILLERS = (
    "after a long delay",
    "on Monday",
    "with 20 others",
    "despite the rain",
    "for the second time",
    "as everybody knows",
    "in spite of all warnings",
    "a week ago",
    "against all odds",
    "to nobody 's surprise",
    "in the end",
    "once more",
)

POSITIVE = (
    "wonderful moving brilliant charming gripping superb delightful fresh witty touching clever"
    " great".split()
)
NEGATIVE = (
    "awful boring stupid clumsy tedious terrible dreadful stale dull annoying shallow weak".split()
)
SUBJECTS = "film story script cast music ending plot dialogue".split()
# opening (affirms, denies), closing
OPENINGS = (
    (("everybody", "nobody"), "who saw the {} {} called it"),
    (("i would say", "i would never say"), "that the {} {} is"),
    (("it is true", "it is false"), "that the {} {} was"),
    (("few will doubt", "few will believe"), "that the {} {} seems"),
)
# a verdict that counts, and one that does not
CONCESSIONS = ("although {c} , {v}", "{v} although {c}", "{c} , but {v}")
REVIEW_FILLERS = (
    "with its many songs",
    "from the second hour on",
    "after all these years",
    "in the version that i know",
    "for a work of this length",
    "on a small screen",
    "without the famous scene",
    "next to the book that it follows",
)
NEUTRAL = (
    "it runs for two hours",
    "i saw it on a rainy day",
    "it was shot in the desert",
    "the tickets were sold out",
    "my brother had read the book",
    "the hero is a teacher from the south",
    "it opens with a long journey by train",
    "the second half takes place at sea",
    "we sat in the last row",
    "it has been shown on television since",
)
