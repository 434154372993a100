"""From an answer's characters to its tokens, window by window (as transformers' example run_qa prepares SQuAD)."""

from typing import Any

from autograder.exercise import Exercise
from autograder.make import Make


def answer_token_span(
    offsets: list[tuple[int, int]], sequence_ids: list[int | None], start_char: int, end_char: int
) -> tuple[int, int]:
    """The tokens of a window in which an answer stands: the labels of span prediction.

    A window is what a tokenizer makes of a question and of a part of the passage: [CLS] question [SEP] part [SEP], and
    perhaps padding.

    Args:
        offsets: for each token, from which character to which (exclusive) it reaches: of the question for the
            question's tokens, of the *whole* passage for the passage's; (0, 0) for special tokens and padding.
        sequence_ids: for each token 0 (question), 1 (passage) or None (special tokens and padding).
        start_char, end_char: the answer is passage[start_char:end_char]. It is not empty, and it begins and ends with a
            character that belongs to a token.

    Returns:
        (first, last): positions in the window of the first and the last token of the passage that share a character
        with the answer; they are equal for an answer of one token. (0, 0), which is [CLS], if not every character of
        the answer's tokens lies in this window: it is cut off at either side, or lies wholly outside, or the window
        has no token of the passage at all.
    """
    ### BEGIN SOLUTION
    passage = [place for place, part in enumerate(sequence_ids) if part == 1]
    if not passage or start_char < offsets[passage[0]][0] or end_char > offsets[passage[-1]][1]:
        return 0, 0
    inside = [p for p in passage if offsets[p][0] < end_char and offsets[p][1] > start_char]
    return inside[0], inside[-1]
    ### END SOLUTION


exercise = Exercise(
    answer_token_span,
    points=3,
    objectives=["4.5", "answers"],
    title_en="From characters to tokens",
    title_ja="文字の位置からトークンの位置へ",
    device=False,
)


# -- cases -------------------------------------------------------------------------------------------------------------


class Window:
    """A made-up window: words and pieces of words of drawn lengths, with spaces between them.

    `joined` are the numbers of passage tokens that follow their predecessor without a space.
    """

    def __init__(self, make: Make, question: int, passage: int, joined: tuple[int, ...] = (), padding: int = 0) -> None:
        self.asked = self._tokens(make, question, ())
        self.read = self._tokens(make, passage, joined)
        self.padding = padding

    @staticmethod
    def _tokens(make: Make, count: int, joined: tuple[int, ...]) -> list[tuple[int, int]]:
        offsets, at = [], 0
        for number, length in enumerate(make.integers(2, 8, count).tolist()):
            begin = at if number == 0 or number in joined else at + 1
            at = begin + length
            offsets.append((begin, at))
        return offsets

    def inputs(self, first: int, last: int, start_char: int, end_char: int) -> dict[str, Any]:
        """The window that shows the passage's tokens from first to last, and an answer."""
        shown = self.read[first : last + 1]
        offsets = [(0, 0), *self.asked, (0, 0), *shown, (0, 0), *[(0, 0)] * self.padding]
        parts = [None, *[0] * len(self.asked), None, *[1] * len(shown), None, *[None] * self.padding]
        return {"offsets": offsets, "sequence_ids": parts, "start_char": start_char, "end_char": end_char}

    def answer(self, first: int, last: int) -> tuple[int, int]:
        """The characters of the passage's tokens from first to last."""
        return self.read[first][0], self.read[last][1]


FERRY = [(0, 3), (4, 9), (10, 16), (17, 19), (20, 22), (22, 24), (24, 25)]  # The ferry leaves at du ##sk .


@exercise.visible(en="the ferry worked by hand in the text", ja="本文で手計算したフェリーの例")
def _(make: Make) -> dict[str, Any]:
    offsets = [(0, 0), (0, 4), (5, 7), (8, 10), (0, 0), *FERRY, (0, 0)]
    return {"offsets": offsets, "sequence_ids": [None, 0, 0, 0, None, *[1] * 7, None], "start_char": 20, "end_char": 24}


@exercise.visible(en="the answer's end is cut off by the window", ja="答えの末尾が窓の外に出ている場合")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 4, 14)
    return window.inputs(0, 8, *window.answer(7, 10))


@exercise.visible(en="a later window, with padding", ja="後ろのほうの窓（パディングあり）")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 3, 16, padding=4)
    return window.inputs(6, 15, *window.answer(9, 11))


@exercise.hidden(en="several tokens, some of them pieces of words", ja="単語の断片を含む、複数トークンの答え")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 5, 15, joined=(4, 5, 8, 9))
    return window.inputs(0, 14, *window.answer(4, 8))


@exercise.hidden(en="the answer begins and ends inside a token", ja="トークンの途中から途中までの答え")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 4, 13)
    start, end = window.answer(4, 7)
    return window.inputs(0, 12, start + 1, end - 1)


@exercise.hidden(en="an answer at characters that the question has, too", ja="質問にもある文字位置の答え")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 9, 12)
    return window.inputs(0, 11, *window.answer(1, 2))


@exercise.hidden(en="the first token of the passage", ja="本文の最初のトークンが答えの場合", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 3, 9)
    return window.inputs(0, 8, *window.answer(0, 0))


@exercise.hidden(en="the last token of the window", ja="窓の最後のトークンが答えの場合", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 4, 17, padding=2)
    return window.inputs(3, 11, *window.answer(10, 11))


@exercise.hidden(en="cut off at the window's beginning", ja="窓の先頭で切れている場合")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 4, 18)
    return window.inputs(6, 17, *window.answer(4, 8))


@exercise.hidden(en="cut off at the window's end", ja="窓の末尾で切れている場合")
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 5, 18, joined=(10,), padding=3)
    return window.inputs(2, 9, *window.answer(8, 10))


@exercise.hidden(
    en="wholly before the window, and wholly behind another one", ja="答えが窓より前にある場合", weight=0.5
)
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 4, 19)
    return window.inputs(9, 18, *window.answer(2, 4))


@exercise.hidden(en="no token of the passage in the window", ja="窓に本文のトークンがない場合", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    window = Window(make, 6, 5, padding=2)
    return window.inputs(5, 4, *window.answer(1, 2))


# -- mistakes ----------------------------------------------------------------------------------------------------------

Offsets = list[tuple[int, int]]
Parts = list[int | None]


def touching(offsets: Offsets, places: list[int], start_char: int, end_char: int) -> list[int]:
    """The places whose tokens share a character with the answer."""
    return [p for p in places if offsets[p][0] < end_char and offsets[p][1] > start_char]


def of_passage(sequence_ids: Parts) -> list[int]:
    return [place for place, part in enumerate(sequence_ids) if part == 1]


@exercise.mistake(
    en="The question's tokens are searched, too, although their offsets count the characters of another text.",
    ja="質問のトークンまで調べています。その offsets が数えているのは、別の文章の文字です。",
    hint_en="Two tokens of a window can both have the offsets (4, 9). What tells them apart?",
    hint_ja="一つの窓の中で、二つのトークンがどちらも (4, 9) という offsets を持つことがあります。どう見分けますか。",
)
def question_searched(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    if answer_token_span(offsets, sequence_ids, start_char, end_char) == (0, 0):
        return 0, 0
    found = touching(offsets, list(range(len(offsets))), start_char, end_char)
    return found[0], found[-1]


@exercise.mistake(
    en="An answer that is cut off by the window is labelled with the part that can be seen.",
    ja="窓で切れている答えに、見えている部分だけをラベルとして付けています。",
    hint_en="Would half an answer be right? What does the docstring return for it?",
    hint_ja="答えの半分は正解といえるでしょうか。docstring では、そのとき何を返すことになっていますか。",
)
def labels_what_is_left(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    found = touching(offsets, of_passage(sequence_ids), start_char, end_char)
    return (found[0], found[-1]) if found else (0, 0)


@exercise.mistake(
    en="The last position that is returned is the one after the answer.",
    ja="最後の位置として、答えの次のトークンの位置を返しています。",
    hint_en="Offsets are exclusive at their end. Are the positions that you return?",
    hint_ja="offsets の終わりはその文字を含みません。返す位置のほうはどうでしょうか。",
)
def last_exclusive(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    first, last = answer_token_span(offsets, sequence_ids, start_char, end_char)
    return (first, last + 1) if last else (0, 0)


@exercise.mistake(
    en="Only tokens that lie wholly inside the answer are taken.",
    ja="答えの中に完全に収まるトークンだけを数えています。",
    hint_en="A token may be larger than the answer, *45th* for the answer *45*. Which tokens does the answer need?",
    hint_ja="答えが *45* でトークンが *45th* のように、トークンのほうが大きいこともあります。"
    "答えを表すのに必要なのは、どのトークンですか。",
)
def wholly_inside(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    first, last = answer_token_span(offsets, sequence_ids, start_char, end_char)
    found = [p for p in range(first, last + 1) if start_char <= offsets[p][0] and offsets[p][1] <= end_char]
    return (found[0], found[-1]) if last and found else (0, 0)


@exercise.mistake(
    en="A token that ends where the answer begins, or begins where it ends, is taken for a part of it.",
    ja="答えの直前で終わるトークンや、答えの直後から始まるトークンまで、答えの一部としています。",
    hint_en="The end of an offset is exclusive: which characters does a token with (4, 9) hold?",
    hint_ja="offsets の終わりはその文字を含みません。(4, 9) のトークンに含まれるのは、何番目の文字ですか。",
)
def neighbours_taken(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    if answer_token_span(offsets, sequence_ids, start_char, end_char) == (0, 0):
        return 0, 0
    found = [p for p in of_passage(sequence_ids) if offsets[p][0] <= end_char and offsets[p][1] >= start_char]
    return found[0], found[-1]


@exercise.mistake(
    en="The positions are counted from the passage's first token, not from the window's.",
    ja="位置を、窓の先頭からではなく、本文の最初のトークンから数えています。",
    hint_en="The model's logits begin at [CLS]. At which position does the passage begin?",
    hint_ja="モデルのロジットは [CLS] から並んでいます。本文は何番目から始まりますか。",
)
def counted_from_the_passage(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    first, last = answer_token_span(offsets, sequence_ids, start_char, end_char)
    return (first - of_passage(sequence_ids)[0], last - of_passage(sequence_ids)[0]) if last else (0, 0)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def inwards_from_both_sides(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> list[int]:
    """Two pointers move in from the passage's ends."""
    if 1 not in sequence_ids:
        return [0, 0]
    first = sequence_ids.index(1)
    last = len(sequence_ids) - 1 - sequence_ids[::-1].index(1)
    if not (offsets[first][0] <= start_char and end_char <= offsets[last][1]):
        return [0, 0]
    while offsets[first][1] <= start_char:
        first += 1
    while offsets[last][0] >= end_char:
        last -= 1
    return [first, last]


@exercise.accepted
def character_by_character(offsets: Offsets, sequence_ids: Parts, start_char: int, end_char: int) -> tuple[int, int]:
    """A table from characters to tokens."""
    token_of = {}
    for place, ((begin, end), part) in enumerate(zip(offsets, sequence_ids, strict=True)):
        if part == 1:
            token_of.update(dict.fromkeys(range(begin, end), place))
    if start_char not in token_of or end_char - 1 not in token_of:
        return (0, 0)
    return token_of[start_char], token_of[end_char - 1]
