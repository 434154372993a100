"""Which plan makes use of unlabelled text from the target domain (Gururangan et al., 2020)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "c",
    choices="abcd",
    points=1,
    objectives=["3.1"],
    title_en="A plan for the hospital",
    title_ja="病院のための計画",
)
exercise.misconception(
    "a",
    en="You take a small model on few labels to be safer than a large pretrained one.",
    ja="ラベルが少ないときは、事前学習した大きなモデルより、小さなモデルのほうが安全だと考えています。",
    hint_en="Where would this model learn what a sentence is: from 2,000 letters alone?",
    hint_ja="このモデルは、文とは何かを、2,000 通の手紙だけから学ぶのでしょうか。",
)
exercise.misconception(
    "b",
    en="You expect that the classifier on top can make up for words that the encoder has never met.",
    ja="エンコーダが出会ったことのない言葉を、上に載せた分類器だけで補えると考えています。",
    hint_en="Which parts of the model stay as Wikipedia has left them? Is anything of the three million letters used?",
    hint_ja="Wikipedia で学習したまま変わらないのはどの部分ですか。300 万通の手紙は、どこかで使われていますか。",
)
exercise.misconception(
    "d",
    en="You take domain adaptation to need labels, and the pretrained weights to be in its way.",
    ja="ドメイン適応にはラベルが必要で、事前学習した重みはかえって邪魔になると考えています。",
    hint_en="How many labels does guessing masked words need? And what is lost with the weights that are thrown away?",
    hint_ja="隠した単語を当てるのに、ラベルはいくつ必要でしょうか。また、重みを捨てると何が失われますか。",
)
