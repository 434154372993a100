"""Exact match and F1 as SQuAD v2's official script counts them (Rajpurkar, Jia and Liang, 2018; Rajpurkar et al., 2016,
section 6.1)."""

import re
import string
from collections import Counter
from typing import Any

from autograder.exercise import Exercise
from autograder.make import Make


def squad_scores(prediction: str, answers: list[str]) -> tuple[float, float]:
    """How well a predicted answer agrees with the answers that people gave: exact match and F1.

    Texts are compared as lists of words. A text becomes one in four steps, in this order:

        1. lower case;
        2. every character of string.punctuation is deleted, and nothing is put in its place ("don't" -> "dont");
        3. the words a, an and the are deleted: what re.sub(r"\\b(a|an|the)\\b", " ", text) does;
        4. what is left is split at white space.

    Exact match is 1 if the two lists are equal, else 0. F1 is 2 * common / (words of the one + words of the other),
    where a word that occurs m times in the one and n times in the other counts min(m, n) times as common. When one of
    the two lists is empty, F1 is 1 if the other one is, too, else 0.

    Args:
        prediction: the predicted answer; the empty string says that there is none.
        answers: the right answers, any of which will do. An empty list says that the question has no answer: it is
            compared with the empty string.

    Returns:
        exact match, F1: each the largest over all the answers, numbers from 0 to 1.
    """

    def words(text: str) -> list[str]:
        ### BEGIN SOLUTION
        text = "".join(c for c in text.lower() if c not in string.punctuation)
        return re.sub(r"\b(a|an|the)\b", " ", text).split()
        ### END SOLUTION

    exact, f1 = [], []
    right = [answer for answer in answers if words(answer)] or [""]  # an answer of which nothing is left says nothing
    for answer in right:
        ### BEGIN SOLUTION
        one, other = words(prediction), words(answer)
        common = (Counter(one) & Counter(other)).total()
        exact.append(float(one == other))
        f1.append(2 * common / (len(one) + len(other)) if one or other else 1.0)
        ### END SOLUTION
    return max(exact), max(f1)


exercise = Exercise(
    squad_scores,
    points=4,
    objectives=["4.5", "answers"],
    title_en="SQuAD's exact match and F1",
    title_ja="SQuAD の完全一致と F1",
    device=False,
)


# -- cases -------------------------------------------------------------------------------------------------------------


@exercise.visible(en="the red bicycle worked by hand in the text", ja="本文で手計算した赤い自転車の例")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "A red bicycle, the old one", "answers": ["the old red bicycle", "bicycle"]}


@exercise.visible(en="the same but for capitals, an article and a full stop", ja="大文字・冠詞・ピリオドだけが違う場合")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "the  Winter Garden.", "answers": ["Winter garden"]}


@exercise.visible(en="no answer, and rightly so", ja="答えなしで正しい場合")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "", "answers": []}


@exercise.visible(en="an answer where there is none", ja="答えのない質問に答えた場合")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "in the cellar", "answers": []}


@exercise.hidden(en="the same words in another order", ja="同じ語が別の順序で並ぶ場合")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "Ito Haruka", "answers": ["Haruka Ito"]}


@exercise.hidden(en="repeated words", ja="同じ語が繰り返される場合")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "by the sea, by the lake, by car", "answers": ["by boat and by bus along the sea"]}


@exercise.hidden(en="punctuation inside words", ja="単語の中の記号")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "the twenty-one o'clock train ($4.50)", "answers": ["twentyone oclock train 450 in all"]}


@exercise.hidden(en="articles, and words that begin or end like them", ja="冠詞と、冠詞と同じ綴りを含む語")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "an Anthem of the theatre, a banana", "answers": ["anthem of theatre banana bread"]}


@exercise.hidden(en="the best F1 is not of the last answer nor of the first", ja="F1 の最大が最初でも最後でもない場合")
def _(make: Make) -> dict[str, Any]:
    answers = ["two old ships", "three small wooden boats", "ferries"]
    return {"prediction": "three boats", "answers": answers}


@exercise.hidden(en="nothing predicted, though there is an answer", ja="答えがあるのに、答えなしとした場合")
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "", "answers": ["a lighthouse", "the tower"]}


@exercise.hidden(en="nothing but an article and marks is no answer", ja="冠詞と記号だけは、答えなしと同じ", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    return {"prediction": "The ...", "answers": []}


@exercise.hidden(en="accents, capitals, tabs and line breaks", ja="アクセント付きの大文字、タブ、改行", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    return {
        "prediction": "\tÉcole\nNormale  Supérieure ",
        "answers": ["the école normale", "École Normale Supérieure!"],
    }


# -- mistakes ----------------------------------------------------------------------------------------------------------


def listed(text: str) -> list[str]:
    """The right list of words."""
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(str.maketrans("", "", string.punctuation))).split()


def overlap(one: list[str], other: list[str]) -> float:
    """The right F1 of two lists."""
    if not one or not other:
        return float(one == other)
    return 2 * sum((Counter(one) & Counter(other)).values()) / (len(one) + len(other))


def best(prediction: str, answers: list[str], exact: Any, f1: Any, words: Any = listed) -> tuple[float, float]:
    """Both scores with one of their parts replaced."""
    right = [words(answer) for answer in answers if listed(answer)] or [[]]
    ours = words(prediction)
    return max(float(exact(ours, each)) for each in right), max(f1(ours, each) for each in right)


@exercise.mistake(
    en="Articles are kept.",
    ja="冠詞を取り除いていません。",
    hint_en="Do *the red bicycle* and *a red bicycle* say different things here?",
    hint_ja="*the red bicycle* と *a red bicycle* は、ここで違う答えになるべきでしょうか。",
)
def articles_kept(prediction: str, answers: list[str]) -> tuple[float, float]:
    def words(text: str) -> list[str]:
        return text.lower().translate(str.maketrans("", "", string.punctuation)).split()

    return best(prediction, answers, list.__eq__, overlap, words)


@exercise.mistake(
    en="The letters of the articles are deleted inside other words, too.",
    ja="ほかの単語の中にある冠詞と同じ綴りまで消しています。",
    hint_en="What becomes of *theatre* when every *the* and every *a* in a text is deleted?",
    hint_ja="文字列から *the* や *a* をすべて消すと、*theatre* はどうなりますか。",
)
def articles_inside_words(prediction: str, answers: list[str]) -> tuple[float, float]:
    def words(text: str) -> list[str]:
        text = text.lower().translate(str.maketrans("", "", string.punctuation))
        return text.replace("the", " ").replace("an", " ").replace("a", " ").split()

    return best(prediction, answers, list.__eq__, overlap, words)


@exercise.mistake(
    en="Punctuation is kept.",
    ja="記号を取り除いていません。",
    hint_en="Is *1987* another answer than *1987.*?",
    hint_ja="*1987* と *1987.* は違う答えでしょうか。",
)
def punctuation_kept(prediction: str, answers: list[str]) -> tuple[float, float]:
    return best(
        prediction, answers, list.__eq__, overlap, lambda text: re.sub(r"\b(a|an|the)\b", " ", text.lower()).split()
    )


@exercise.mistake(
    en="Punctuation is replaced by a space, so that it parts a word in two.",
    ja="記号を空白に置き換えているので、単語が二つに分かれています。",
    hint_en="How many words does *don't* become by the second step of the docstring?",
    hint_ja="docstring の手順 2 で、*don't* はいくつの単語になりますか。",
)
def punctuation_to_space(prediction: str, answers: list[str]) -> tuple[float, float]:
    def words(text: str) -> list[str]:
        return listed("".join(" " if c in string.punctuation else c for c in text))

    return best(prediction, answers, list.__eq__, overlap, words)


@exercise.mistake(
    en="The words are compared as sets: how often a word occurs goes unseen.",
    ja="単語を集合として比べています。同じ語が何回現れるかを見ていません。",
    hint_en="What would *by by by* score against *by*? A Counter counts, and & of two of them takes the smaller "
    "counts.",
    hint_ja="*by by by* と *by* を比べると何点になりますか。"
    "Counter は回数を数え、二つの & は少ないほうの回数をとります。",
)
def as_sets(prediction: str, answers: list[str]) -> tuple[float, float]:
    return best(prediction, answers, list.__eq__, lambda one, other: overlap(sorted(set(one)), sorted(set(other))))


@exercise.mistake(
    en="Every predicted word that occurs in the answer counts as common, however often it is repeated.",
    ja="予測の単語が正解に含まれていれば、何度繰り返されても、そのたびに共通の語として数えています。",
    hint_en="The answer has *by* twice. How often can it agree with a prediction that has it three times?",
    hint_ja="正解に *by* が 2 回あるとき、*by* が 3 回ある予測とは何回一致できるでしょうか。",
)
def repeated_hits(prediction: str, answers: list[str]) -> tuple[float, float]:
    def f1(one: list[str], other: list[str]) -> float:
        if not one or not other:
            return float(one == other)
        return 2 * sum(word in other for word in one) / (len(one) + len(other))

    return best(prediction, answers, list.__eq__, f1)


@exercise.mistake(
    en="The scores are averaged over the answers.",
    ja="複数の正解についてスコアを平均しています。",
    hint_en="Three people wrote down three answers, and any of them will do. Should agreeing with one of them be "
    "punished?",
    hint_ja="三人が三通りの正解を書き、どれでもよいことになっています。"
    "そのうちの一つと一致した予測を減点すべきでしょうか。",
)
def averaged(prediction: str, answers: list[str]) -> tuple[float, float]:
    each = [best(prediction, [answer], list.__eq__, overlap) for answer in answers] or [
        best(prediction, [], list.__eq__, overlap)
    ]
    return sum(exact for exact, _ in each) / len(each), sum(f1 for _, f1 in each) / len(each)


@exercise.mistake(
    en="Exact match is 1 for the same words in another order.",
    ja="同じ語が違う順序で並んでいても、完全一致を 1 としています。",
    hint_en="F1 does not look at the order of the words. Does exact match?",
    hint_ja="F1 は語順を見ません。完全一致はどうでしょうか。",
)
def order_ignored(prediction: str, answers: list[str]) -> tuple[float, float]:
    return best(prediction, answers, lambda one, other: sorted(one) == sorted(other), overlap)


@exercise.mistake(
    en="Two empty answers score 0 in F1.",
    ja="どちらも空のときの F1 を 0 としています。",
    hint_en="A model that rightly says nothing: which F1 does the docstring promise it?",
    hint_ja="正しく「答えなし」とした予測の F1 は、docstring ではいくつですか。",
)
def empty_scores_nothing(prediction: str, answers: list[str]) -> tuple[float, float]:
    return best(prediction, answers, list.__eq__, lambda one, other: overlap(one, other) if one or other else 0.0)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def precision_and_recall(prediction: str, answers: list[str]) -> tuple[int, float]:
    """By way of precision and recall; articles by a loop over the words, exact match on the joined text."""

    def normal(text: str) -> str:
        kept = "".join([c for c in text.lower() if c.isalnum() or c.isspace() or c not in set(string.punctuation)])
        return " ".join(word for word in kept.split() if word not in {"a", "an", "the"})

    exact, f1 = 0, 0.0
    golds = [normal(answer) for answer in answers if normal(answer)]
    for gold in golds or [""]:
        ours, theirs = normal(prediction).split(), gold.split()
        exact = max(exact, int(normal(prediction) == gold))
        common = sum(min(ours.count(word), theirs.count(word)) for word in set(ours))
        if not ours or not theirs:
            f1 = max(f1, int(ours == theirs))
        elif common:
            precision, recall = common / len(ours), common / len(theirs)
            f1 = max(f1, 2 * precision * recall / (precision + recall))
    return exact, f1


@exercise.accepted
def crossing_out(prediction: str, answers: list[str]) -> list[float]:
    """Words in common are crossed out of a copy one by one."""

    def normal(text: str) -> list[str]:
        text = re.sub("[" + re.escape(string.punctuation) + "]", "", text.lower())
        return re.findall(r"\S+", re.sub(r"\b(?:the|an?)\b", "", text))

    pairs = []
    for gold in [g for g in map(normal, answers) if g] or [[]]:
        ours, left, hits = normal(prediction), list(gold), 0
        for word in ours:
            if word in left:
                left.remove(word)
                hits += 1
        total = len(ours) + len(gold)
        pairs.append((1.0 if ours == gold else 0.0, 2 * hits / total if total else 1.0))
    return [max(pair[0] for pair in pairs), max(pair[1] for pair in pairs)]
