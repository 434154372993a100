"""Beam search (Sutskever, Vinyals and Le, 2014, section 3.2), scored by length as well (Wu et al., 2016, section 7).

The score, the sum of the log-probabilities divided by length ** alpha, is that of Hugging Face's `length_penalty`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make


def beam_search(
    step_fn: Callable[[Tensor], Tensor], bos: int, eos: int, beams: int, max_len: int, alpha: float
) -> tuple[list[int], float]:
    """Look for the text with the best score, with no more than `beams` unfinished texts in view at a time.

    The search begins with one text that holds bos alone and has the sum 0. A step extends every unfinished text by
    every token and adds that token's log-probability to its sum; the `beams` candidates with the largest sums stay
    (all of them where there are fewer), whichever text they come from. Those among them that end with eos are finished
    and set aside; so are all of them at step max_len. The others go into the next step. The search ends when no
    unfinished text is left.

        score of a finished text = its sum / length ** alpha,   length = the tokens written: eos counts, bos does not

    Args:
        step_fn: takes texts (n, time), int64, that begin with bos, and gives the log-probabilities (n, vocab_size) of
            the token that follows each. Sums and scores that matter here differ: the order of equal ones is left open.
        bos: the id that every text begins with; it may be the same as eos.
        eos: the id that ends a text.
        beams: how many candidates stay after each step, 1 or more.
        max_len: the largest number of tokens to write, 1 or more.
        alpha: 0 compares the sums themselves, 1 the means for each token.

    Returns:
        the ids of the finished text with the best score, without bos, with eos if it ends with it; and that score.
    """
    live, sums = torch.tensor([[bos]]), torch.zeros(1)  # the unfinished texts (n, time), and their sums (n,)
    finished: list[tuple[list[int], float]] = []  # ids without bos, score
    for length in range(1, max_len + 1):
        ### BEGIN SOLUTION
        candidates = sums[:, None] + step_fn(live)  # (n, vocab_size)
        sums, places = candidates.flatten().topk(min(beams, candidates.numel()))
        parents, tokens = places // candidates.size(1), places % candidates.size(1)
        live = torch.cat([live[parents], tokens[:, None]], dim=1)
        done = (tokens == eos) | (length == max_len)
        for text, total in zip(live[done].tolist(), sums[done].tolist(), strict=True):
            finished.append((text[1:], total / length**alpha))
        live, sums = live[~done], sums[~done]
        ### END SOLUTION
        if len(live) == 0:
            break
    return max(finished, key=lambda found: found[1])


exercise = Exercise(
    beam_search,
    points=4,
    objectives=["4.4", "generation"],
    title_en="Beam search",
    title_ja="ビームサーチ",
    equivalent={
        "done = (tokens == eos) + (length == max_len)": "of booleans, the sum is the disjunction",
        "done = (tokens == eos) | (length >= max_len)": "the loop ends at max_len",
        "done = (tokens == eos) | (length is max_len)": "small whole numbers are one object each",
        "for text, total in zip(live[done].tolist(), sums[done].tolist(), strict=False):": "the two are equally long",
        "for text, total in zip(live[done].tolist(), sums[done].tolist()):": "the two are equally long",
        "for text, total in zip(live[done], sums[done].tolist(), strict=True):": "a tensor of ids is as good as a list",
        "for text, total in zip(live[done].tolist(), sums[done], strict=True):": "a tensor may be a number",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def steps(make: Make, table: Tensor) -> Any:
    return make.recipe("autograder.course.toy_lm:ToySteps", table, 20)


def searched(make: Make, rows: int, size: int, likes_eos: float, **options: Any) -> dict[str, Any]:
    """A random model; eos, the token 2, is made likelier by a number that is added to its logits."""
    table = make.normal(rows, size) + likes_eos * (torch.arange(size) == 2)
    return {"step_fn": steps(make, table), "bos": size - 1, "eos": 2, **options}


def by_hand(make: Make, beams: int, alpha: float) -> dict[str, Any]:
    """The text's tree: <end> is 0 and begins a text, too; a is 1, b is 2. The rows 1 and 3 are not reached."""
    after = {"start": [0.1, 0.5, 0.4], "a": [0.25, 0.45, 0.3], "b": [0.8, 0.15, 0.05], "none": [0.3, 0.4, 0.3]}
    table = torch.tensor([after[row] for row in ("start", "none", "a", "none", "b")]).double().log()
    return {"step_fn": steps(make, table), "bos": 0, "eos": 0, "beams": beams, "max_len": 2, "alpha": alpha}


@exercise.visible(en="the tree of the text, two beams", ja="本文の木、ビーム数 2")
def _(make: Make) -> dict[str, Any]:
    return by_hand(make, 2, 1.0)  # b <end>: ln 0.32 / 2


@exercise.visible(en="the same tree, one beam", ja="同じ木、ビーム数 1")
def _(make: Make) -> dict[str, Any]:
    return by_hand(make, 1, 1.0)  # a a: ln 0.225 / 2


@exercise.visible(en="three beams that end at different times", ja="ビーム数 3、終わる時点が違う場合")
def _(make: Make) -> dict[str, Any]:
    return searched(make, 7, 5, 0.8, beams=3, max_len=6, alpha=0.7)


@exercise.visible(en="more beams than tokens", ja="ビーム数がトークンの種類より多い場合")
def _(make: Make) -> dict[str, Any]:
    return searched(make, 7, 4, 0.5, beams=9, max_len=4, alpha=1.0)


@exercise.hidden(en="short texts, sums compared", ja="短いテキスト、和で比べる場合")
def _(make: Make) -> dict[str, Any]:
    return searched(make, 11, 6, 1.5, beams=4, max_len=7, alpha=0.0)


@exercise.hidden(en="long texts, means compared", ja="長いテキスト、平均で比べる場合", weight=2)
def _(make: Make) -> dict[str, Any]:
    return searched(make, 11, 6, 1.0, beams=4, max_len=9, alpha=1.0)


@exercise.hidden(en="texts that max_len cuts off", ja="max_len で打ち切られるテキスト")
def _(make: Make) -> dict[str, Any]:
    return searched(make, 11, 7, -1.5, beams=5, max_len=6, alpha=1.2)


@exercise.hidden(en="more beams than there are candidates", ja="ビーム数が候補より多い場合")
def _(make: Make) -> dict[str, Any]:
    return searched(make, 7, 3, 0.3, beams=40, max_len=4, alpha=0.5)


@exercise.hidden(en="eos comes as the last token that fits", ja="入りきる最後のトークンが eos になる場合", weight=0.5)
def _(make: Make) -> dict[str, Any]:
    table = make.normal(11, 7)
    table[:, 2] += 4.0
    table[6, 2] -= 34.0  # the row that is read first: bos is 6
    return {"step_fn": steps(make, table), "bos": 6, "eos": 2, "beams": 3, "max_len": 2, "alpha": 0.9}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def search(
    step_fn: Callable[[Tensor], Tensor],
    bos: int,
    eos: int,
    beams: int,
    max_len: int,
    alpha: float,
    *,
    own: int | None = None,
    stops: bool = True,
    first: bool = False,
    counts_bos: bool = False,
    eos_only: bool = False,
    limited: bool = True,
) -> tuple[list[int], float]:
    """The rules as lists, but for what a mistake puts in their place; `own` is how many each text may leave."""
    live: list[tuple[list[int], float]] = [([bos], 0.0)]
    finished: list[tuple[list[int], float]] = []
    for length in range(1, max_len + 1):
        found = []
        logs = step_fn(torch.tensor([text for text, _ in live]))
        for (text, total), row in zip(live, logs, strict=True):
            extended = [([*text, token], total + added) for token, added in enumerate(row.tolist())]
            found += sorted(extended, key=lambda each: -each[1])[:own]
        if not limited and len(found) < beams:
            torch.zeros(len(found)).topk(beams)
        live = []
        for text, total in sorted(found, key=lambda each: -each[1])[:beams]:
            ended = stops and text[-1] == eos
            if ended or (length == max_len and not eos_only):
                finished.append((text[1:], total / (length + counts_bos) ** alpha))
            else:
                live.append((text, total))
        if not live or (first and finished):
            break
    return max(finished, key=lambda each: each[1]) if finished else ([], -float("inf"))


STEP = Callable[[Tensor], Tensor]
FOUND = tuple[list[int], float]


@exercise.mistake(
    en="The search is greedy: one text alone is followed, whatever beams says.",
    ja="貪欲な探索になっています。beams がいくつでも、一つのテキストしか追っていません。",
    hint_en="How many texts does step_fn get in your second step?",
    hint_ja="2 回目のステップで、step_fn にはいくつのテキストを渡していますか。",
)
def greedy(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, 1, max_len, alpha)


@exercise.mistake(
    en="Every text keeps its own best continuation: texts do not compete with each other.",
    ja="テキストごとに最良の続きを一つずつ残していて、テキストどうしが競い合っていません。",
    hint_en="May two of the candidates that stay come from the same text?",
    hint_ja="残す候補のうち二つが、同じテキストから出たものであってもよいでしょうか。",
)
def each_its_own(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    live, sums, finished = torch.tensor([[bos]]), torch.zeros(1), []
    for length in range(1, max_len + 1):
        best, tokens = (sums[:, None] + step_fn(live)).topk(1 if length > 1 else beams if beams < 5 else 1, dim=1)
        live = torch.cat([live.repeat(tokens.size(1), 1), tokens.T.reshape(-1, 1)], dim=1)
        sums, done = best.T.flatten(), (tokens.T.flatten() == eos) | (length == max_len)
        finished += [
            (text[1:].tolist(), float(total) / length**alpha)
            for text, total in zip(live[done], sums[done], strict=True)
        ]
        live, sums = live[~done], sums[~done]
        if len(live) == 0:
            break
    return max(finished, key=lambda found: found[1])


@exercise.mistake(
    en="The score is the sum alone: the length is not taken into account, and short texts win.",
    ja="スコアが和のままで、長さが考慮されていません。短いテキストが有利になります。",
    hint_en="Every token adds a number below 0. What should a long text be compensated with?",
    hint_ja="トークンが一つ増えるたびに、負の数が加わります。長いテキストの不利は、何で補うのでしたか。",
)
def not_normalised(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, 0.0)


@exercise.mistake(
    en="bos is counted in the length.",
    ja="長さに bos を数えています。",
    hint_en="For how many tokens does the sum hold a log-probability?",
    hint_ja="和の中には、いくつのトークンの対数確率が入っていますか。",
)
def bos_counted(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, alpha, counts_bos=True)


@exercise.mistake(
    en="A text that has ended is extended further.",
    ja="終わったテキストを、さらに伸ばしています。",
    hint_en="What does the last token of a text decide?",
    hint_ja="テキストの最後のトークンによって、何が決まるのでしたか。",
)
def goes_on_after_eos(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, alpha, stops=False)


@exercise.mistake(
    en="The search ends with the first text that ends, though a better one may follow.",
    ja="最初のテキストが終わった時点で探索をやめています。もっと良いものが後から見つかるかもしれません。",
    hint_en="Divided by its length, can a text that ends later have the better score?",
    hint_ja="長さで割れば、後から終わるテキストのほうが良いスコアになることはありませんか。",
)
def ends_with_the_first(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, alpha, first=True)


@exercise.mistake(
    en="Texts that max_len cuts off are thrown away: only those with eos are compared.",
    ja="max_len で打ち切られたテキストを捨てていて、eos で終わったものだけを比べています。",
    hint_en="What becomes of the candidates of step max_len that do not end with eos?",
    hint_ja="ステップ max_len で残った候補のうち、eos で終わっていないものはどう扱うのでしたか。",
)
def only_with_eos(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, alpha, eos_only=True)


@exercise.mistake(
    en="It fails where there are fewer candidates than beams.",
    ja="候補が beams より少ないと、エラーになります。",
    hint_en="The first step has vocab_size candidates. How many can be taken at most?",
    hint_ja="最初のステップの候補は vocab_size 個です。最大でいくつ取れますか。",
)
def too_few_candidates(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, alpha, limited=False)


@exercise.mistake(
    en="bos is returned as if it had been written.",
    ja="書いたものではない bos まで返しています。",
    hint_en="With which token does your result begin?",
    hint_ja="あなたの結果は、どのトークンから始まっていますか。",
)
def bos_returned(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    text, score = search(step_fn, bos, eos, beams, max_len, alpha)
    return [bos, *text], score


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def with_lists(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    return search(step_fn, bos, eos, beams, max_len, alpha)


@exercise.accepted
def one_text_at_a_time(step_fn: STEP, bos: int, eos: int, beams: int, max_len: int, alpha: float) -> FOUND:
    """step_fn is asked about each text by itself; the best finished one is kept on the way."""
    best: FOUND = ([], -float("inf"))
    view = [(0.0, (bos,))]
    while view:
        candidates = []
        for total, text in view:
            logs = step_fn(torch.tensor(text)[None]).squeeze(0)
            candidates.extend((total + float(logs[token]), (*text, token)) for token in range(len(logs)))
        candidates.sort(reverse=True)
        view = []
        for total, text in candidates[:beams]:
            written = len(text) - 1
            if text[-1] != eos and written < max_len:
                view.append((total, text))
            elif total / written**alpha > best[1]:
                best = (list(text[1:]), total / written**alpha)
    return best
