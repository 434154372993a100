"""Chain of thought (Wei et al., 2022) and self-consistency (Wang et al., 2022): read the answers, take a vote."""

import re
import statistics
from collections import Counter

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def extract_answer(text: str) -> float | None:
    """The number that a chain of thought ends with, as in "... 14 + 12 = 26. The answer is 26."

    An answer is written as "answer is" in capital or small letters, then perhaps a colon, then one or more spaces or
    line breaks, then a number. A number is

        perhaps a sign, + or -,
        digits, perhaps with commas between groups of three (1,234,567),
        perhaps a decimal point with at least one digit after it.

    A full stop or a comma at the end of a clause therefore does not belong to it: "The answer is 1,250." gives 1250.
    What follows the number does not matter: "The answer is 12 apples" gives 12.

    Args:
        text: what the model wrote. It may hold several answers: the last one counts. Places where no number follows
            "answer is" are no answers.

    Returns:
        the number, or None if the text holds no answer.
    """
    ### BEGIN SOLUTION
    found = re.findall(r"answer is:?\s+([-+]?\d[\d,]*(?:\.\d+)?)", text, flags=re.IGNORECASE)
    return float(found[-1].replace(",", "")) if found else None
    ### END SOLUTION


def majority_vote(answers: list[float | None]) -> float | None:
    """The answer that most of the samples give (self-consistency).

    Args:
        answers: one for each sample, in the order of sampling; None where a sample held no answer. These are not
            counted. The list may be empty.

    Returns:
        the most frequent answer. Where several are equally frequent, the one among them that comes first in the list.
        None if there is no answer to count.
    """
    ### BEGIN SOLUTION
    votes = Counter(answer for answer in answers if answer is not None)
    return votes.most_common(1)[0][0] if votes else None  # a Counter keeps the order of first appearance
    ### END SOLUTION


exercise = Exercise(
    extract_answer,
    majority_vote,
    points=4,
    objectives=["5.3", "prompts"],
    title_en="Reading answers and taking a vote",
    title_ja="答えの読み取りと多数決",
    device=False,
    equivalent={
        "return votes.most_common( 2)[0][0] if votes else None": "the first of two is the first",
        "return votes.most_common(1)[ -1][0] if votes else None": "the last of one is the first",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def number(make: Make, low: int, high: int) -> int:
    return int(make.integers(low, high))


@exercise.visible(en="the chain of the text", ja="本文の思考の連鎖")
def _(make: Make) -> Trial:
    text = "Ken has 23 apples and sells 9: 23 - 9 = 14. He buys 12: 14 + 12 = 26. The answer is 26."
    return make.call("extract_answer", text=text)


@exercise.visible(en="a thousands separator, and text after the number", ja="桁区切りのコンマと、数の後に続く文")
def _(make: Make) -> Trial:
    return make.call("extract_answer", text="5 * 250 = 1250, so the ANSWER IS: 1,250, which is more than 1,000.")


@exercise.visible(en="no answer", ja="答えのない文章")
def _(make: Make) -> Trial:
    return make.call("extract_answer", text="Let me think. 3 + 4 = 7, and 7 * 2 = 14, and then")


@exercise.visible(en="the five samples of the text", ja="本文の五つのサンプル")
def _(make: Make) -> Trial:
    return make.call("majority_vote", answers=[26.0, 35.0, 26.0, None, 14.0])


@exercise.visible(en="a tie", ja="同数の場合")
def _(make: Make) -> Trial:
    return make.call("majority_vote", answers=[7.0, 3.0, 12.0, 3.0, 12.0])


@exercise.visible(en="an empty list", ja="空のリスト")
def _(make: Make) -> Trial:
    return make.call("majority_vote", answers=[])


@exercise.hidden(en="numbers before and after the answer", ja="答えの前後に別の数がある場合")
def _(make: Make) -> Trial:
    answer = number(make, 20, 90)
    text = f"There are {answer + 5} birds, 5 fly off.\nThe answer is {answer}. (Checked 2 times, in 3 ways.)"
    return make.call("extract_answer", text=text)


@exercise.hidden(en="several answers", ja="答えが複数ある場合")
def _(make: Make) -> Trial:
    first, last = number(make, 10, 50), number(make, 51, 99)
    text = (
        f"First I thought the answer is {first}. That was too fast: the answer is: {last}\n"
        "I am sure that this answer is right, and the final answer is above."
    )
    return make.call("extract_answer", text=text)


@exercise.hidden(en="signs and decimals", ja="符号と小数")
def _(make: Make) -> Trial:
    answer = -number(make, 1000, 9000) - 0.25
    return make.call("extract_answer", text=f"It falls below zero. the answer is {answer:,}. Cold!")


@exercise.hidden(en="a large number with a plus sign, on a line of its own", ja="改行の後の、正の符号付きの大きな数")
def _(make: Make) -> Trial:
    answer = number(make, 2_000_000, 9_000_000)
    return make.call("extract_answer", text=f"Added up.\nANSWER IS:\n\n  +{answer:,}, of which {answer // 7:,} go")


@exercise.hidden(en="no number follows", ja="数が続かない場合")
def _(make: Make) -> Trial:
    count = number(make, 3, 9)
    text = f"答えは {count} です。The answer isn't {count}. He has {count} left, or the answer is several."
    return make.call("extract_answer", text=text)


@exercise.hidden(en="a clear majority, samples without an answer", ja="明らかな多数と、答えのないサンプル")
def _(make: Make) -> Trial:
    low = number(make, 5, 20) / 2
    answers = [low + 40, None, low, None, None, low + 3, low, None, low + 90, None, low + 41]
    return make.call("majority_vote", answers=answers)


@exercise.hidden(en="ties", ja="同数", weight=0.5)
def _(make: Make) -> Trial:
    middle = float(number(make, 30, 60))
    pairs = [middle, middle + 20, middle + 20, middle, middle - 8, middle - 8, middle + 5, middle + 5]
    answers = [middle + 9, *pairs, None]
    return make.call("majority_vote", answers=answers)


@exercise.hidden(en="nothing to count", ja="数えるものがない場合", weight=0.5)
def _(make: Make) -> Trial:
    return make.call("majority_vote", answers=[None] * number(make, 2, 5))


# -- mistakes in reading -----------------------------------------------------------------------------------------------

NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?"


def read(pattern: str, text: str, which: int = -1, flags: int = re.IGNORECASE) -> float | None:
    found = re.findall(pattern, text, flags=flags)
    return float(found[which].replace(",", "")) if found else None


@exercise.mistake(
    answer="extract_answer",
    en="The last number of the whole text is taken, wherever it stands.",
    ja="「answer is」の後かどうかにかかわらず、文章の最後の数を取っています。",
    hint_en="Some texts go on after the answer, and some never reach one. Which words stand before the number that "
    "counts?",
    hint_ja="答えの後にも文が続くことがあり、答えに達しないまま終わることもあります。"
    "取り出すべき数の直前にあるのは、どんな言葉でしょうか。",
)
def last_number_of_all(text: str) -> float | None:
    return read(f"({NUMBER})", text)


@exercise.mistake(
    answer="extract_answer",
    en="The first answer is taken, not the last.",
    ja="最後ではなく、最初の答えを取っています。",
    hint_en="A model may correct itself on the way. Which of its answers does it stand by?",
    hint_ja="モデルは途中で考え直すことがあります。最終的な答えはどれでしょうか。",
)
def first_answer(text: str) -> float | None:
    return read(rf"answer is:?\s+({NUMBER})", text, which=0)


@exercise.mistake(
    answer="extract_answer",
    en="The number ends at the comma between its groups of three digits.",
    ja="桁区切りのコンマのところで数が切れています。",
    hint_en="Which characters may stand between the digits of 1,250, and what does float say to them?",
    hint_ja="1,250 の数字の間には、どんな文字がありますか。float はそれをどう扱うでしょうか。",
)
def cut_at_the_comma(text: str) -> float | None:
    return read(r"answer is:?\s+([-+]?\d+(?:\.\d+)?)", text)


@exercise.mistake(
    answer="extract_answer",
    en="The sign of the number is lost.",
    ja="数の符号が失われています。",
    hint_en="What does your answer give for “The answer is -3”?",
    hint_ja="“The answer is -3” に対して、あなたの関数は何を返しますか。",
)
def without_sign(text: str) -> float | None:
    return read(r"answer is:?\s+[-+]?(\d[\d,]*(?:\.\d+)?)", text)


@exercise.mistake(
    answer="extract_answer",
    en="Only whole numbers are read: what follows the decimal point is cut off.",
    ja="整数しか読み取っていません。小数点以下が切り捨てられています。",
    hint_en="When does a point belong to the number, and when does it end the sentence? Look at what follows it.",
    hint_ja="ピリオドが小数点なのか文の終わりなのかは、どこで見分けられるでしょうか。直後の文字に注目しましょう。",
)
def whole_numbers_only(text: str) -> float | None:
    return read(r"answer is:?\s+([-+]?\d[\d,]*)", text)


@exercise.mistake(
    answer="extract_answer",
    en="“answer is” is only found in small letters.",
    ja="小文字の “answer is” しか見つけられません。",
    hint_en="Models shout at times. Which argument makes a regular expression blind to capitals?",
    hint_ja="モデルは大文字で書くこともあります。正規表現に大文字と小文字を区別させない引数は何でしょうか。",
)
def small_letters_only(text: str) -> float | None:
    return read(rf"answer is:?\s+({NUMBER})", text, flags=0)


@exercise.mistake(
    answer="extract_answer",
    en="Only what follows the last “answer is” is looked at, even where no number follows it.",
    ja="最後の “answer is” の後しか見ていません。そこに数が続かない場合でも、前に戻っていません。",
    hint_en="“The answer is 7. I hope that this answer is right.” Which of the two is an answer by the docstring?",
    hint_ja="“The answer is 7. I hope that this answer is right.” の二か所のうち、docstring でいう答えはどちらですか。",
)
def only_after_the_last_marker(text: str) -> float | None:
    _, marker, tail = text.casefold().rpartition("answer is")
    found = re.match(rf":?\s+({NUMBER})", tail) if marker else None
    return float(found[1].replace(",", "")) if found else None


# -- mistakes in voting ------------------------------------------------------------------------------------------------


@exercise.mistake(
    answer="majority_vote",
    en="Samples without an answer vote, too: None can win.",
    ja="答えのないサンプルも数えていて、None が多数になることがあります。",
    hint_en="A sample that breaks off has not voted for anything. Where is None taken out of your count?",
    hint_ja="途中で終わったサンプルは、どの答えにも投票していません。None はどこで除いていますか。",
)
def none_votes(answers: list[float | None]) -> float | None:
    return Counter(answers).most_common(1)[0][0] if answers else None


@exercise.mistake(
    answer="majority_vote",
    en="In a tie, the smallest answer wins and not the first.",
    ja="同数のとき、最初に現れた答えではなく、最も小さい答えを返しています。",
    hint_en="Did you sort the answers, or go through a set of them? Which one does the docstring name?",
    hint_ja="答えを並べ替えたり、集合にして調べたりしていませんか。docstring では、どれを返すことになっていますか。",
)
def smallest_of_a_tie(answers: list[float | None]) -> float | None:
    votes = sorted(answer for answer in answers if answer is not None)
    return max(votes, key=votes.count) if votes else None


@exercise.mistake(
    answer="majority_vote",
    en="In a tie, the last answer wins and not the first.",
    ja="同数のとき、最初ではなく最後に現れた答えを返しています。",
    hint_en="Do you take over a new best answer when it is only as good as the old one?",
    hint_ja="これまでの最多と同数の答えが出てきたとき、入れ替えていませんか。",
)
def last_of_a_tie(answers: list[float | None]) -> float | None:
    votes = [answer for answer in answers if answer is not None]
    return max(reversed(votes), key=votes.count) if votes else None


@exercise.mistake(
    answer="majority_vote",
    en="The mean of the answers is returned: a number that perhaps no sample has given.",
    ja="答えの平均を返しています。どのサンプルも出していない数になることがあります。",
    hint_en="Three samples say 10, 10 and 1000. What did most of them say?",
    hint_ja="三つのサンプルの答えが 10、10、1000 だとします。多数の答えは何ですか。",
)
def mean_of_the_answers(answers: list[float | None]) -> float | None:
    votes = [answer for answer in answers if answer is not None]
    return sum(votes) / len(votes) if votes else None


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="extract_answer")
def with_strict_groups(text: str) -> float | None:
    """A pattern that spells the grammar out, and an iterator of which the last match stays."""
    grammar = re.compile(r"(?i:answer\s?is)(?::)?\s+((?:\+|-)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)")
    answer = None
    for match in grammar.finditer(text):
        answer = float("".join(match.group(1).split(",")))
    return answer


@exercise.accepted(answer="extract_answer")
def without_regular_expressions(text: str) -> float | None:
    """From the back, word by word."""
    pieces = text.lower().split("answer is")
    for piece in reversed(pieces[1:]):
        rest = piece.removeprefix(":")
        words = rest.split()
        if not words or not rest[0].isspace():
            continue
        word, sign = words[0], 1
        if word[0] in "+-":
            word, sign = word[1:], -1 if word[0] == "-" else 1
        whole = ""
        while word and (word[0].isdigit() or (whole and word[0] == ",")):
            whole, word = whole + word[0], word[1:]
        if not whole:
            continue
        fraction = ""
        if word.startswith("."):
            for letter in word[1:]:
                if not letter.isdigit():
                    break
                fraction += letter
        return sign * float(f"{whole.replace(',', '')}.{fraction or 0}")
    return None


@exercise.accepted(answer="majority_vote")
def by_counting(answers: list[float | None]) -> float | None:
    """A loop in which only more votes than before dethrone the leader."""
    best, most = None, 0
    for answer in answers:
        if answer is not None and answers.count(answer) > most:
            best, most = answer, answers.count(answer)
    return best


@exercise.accepted(answer="majority_vote")
def with_statistics(answers: list[float | None]) -> float | None:
    """statistics.mode has the same rule for ties."""
    try:
        return statistics.mode([answer for answer in answers if answer is not None])
    except statistics.StatisticsError:
        return None


@exercise.accepted(answer="majority_vote")
def with_max_over_a_dict(answers: list[float | None]) -> float | None:
    """A dict keeps the order of first insertion, and max returns the first of equals."""
    votes: dict[float, int] = {}
    for answer in filter(lambda each: each is not None, answers):
        votes[answer] = votes.get(answer, 0) + 1  # type: ignore[index, arg-type]
    return max(votes, key=lambda answer: votes[answer], default=None)
