"""Generating text from a causal language model: greedily, or by drawing with temperature, top-k and top-p.

The order of the three, temperature first, is that of Hugging Face's transformers.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from autograder.course.standins_decoding import top_k_filter, top_p_filter
from autograder.exercise import Exercise
from autograder.inputs import build_inputs
from autograder.make import Make, Trial
from autograder.text import Text


@torch.no_grad()
def generate(
    model: nn.Module,
    ids: Tensor,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Continue each row of ids by max_new_tokens tokens, one after the other. There is no token that ends a text.

    Args:
        model: `model(ids)` gives the logits (batch, time, vocab_size) of the token after each position, and
            `model.config.max_len` says how many tokens it can read. Of a longer text it is shown the last max_len.
        ids: (batch, time), int64, the prompts; time is 1 or more.
        max_new_tokens: how many tokens are written in each row, 0 or more.
        temperature: 0 takes the token with the largest logit, and nothing is drawn. Above 0 the logits are divided by
            it; then come the filters, and one token is drawn from the softmax of what they leave.
        top_k: your top_k_filter with this k, if it is not None.
        top_p: your top_p_filter with this p, after top_k, if it is not None.
        generator: what draws; hand it on to torch.multinomial. None is PyTorch's global one.

    Returns:
        (batch, time + max_new_tokens), int64: the prompts, and what was written behind them.
    """

    def choose(logits: Tensor) -> Tensor:
        """One token for each row, (batch, 1), from the logits at the last position, (batch, vocab_size)."""
        ### BEGIN SOLUTION
        if temperature == 0:
            return logits.argmax(dim=-1, keepdim=True)
        logits = logits / temperature
        if top_k is not None:
            logits = top_k_filter(logits, top_k)
        if top_p is not None:
            logits = top_p_filter(logits, top_p)
        return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)
        ### END SOLUTION

    ### BEGIN SOLUTION
    for _ in range(max_new_tokens):
        logits = model(ids[:, -model.config.max_len :])
        ids = torch.cat([ids, choose(logits[:, -1])], dim=1)
    return ids
    ### END SOLUTION


exercise = Exercise(
    generate,
    points=4,
    objectives=["4.4", "generation"],
    title_en="Generating text",
    title_ja="テキストの生成",
    stand_ins={name: f"autograder.course.standins_decoding:{name}" for name in ("top_k_filter", "top_p_filter")},
    equivalent={
        "if temperature <= 0:": "a temperature is never below 0",
        "return logits.argmax(dim=1, keepdim=True)": "choose is given two dimensions",
        "return torch.multinomial(logits.softmax(dim=1), 1, generator=generator)": "choose is given two dimensions",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def model_of(make: Make, table: Tensor, max_len: int) -> Any:
    return make.recipe("autograder.course.toy_lm:ToyLM", table, max_len)


def watched(make: Make, **inputs: Any) -> Trial:
    """A case whose result is the same for all right answers; it shows, too, whether the generator was used."""
    seed = int(make.integers(0, 2**31, 1))
    generator = make.recipe("autograder.recipes:watched_generator", seed)
    return make.call(after=("generator",), **inputs, generator=generator)


TABLE = torch.tensor(  # of the text: after the row 0, 1 or 2 of it
    [[0.1, 0.3, 0.6], [0.7, 0.1, 0.2], [0.3, 0.5, 0.2]]
).double()


@exercise.visible(en="the text continued by hand, greedily", ja="本文で手計算した、貪欲な生成")
def _(make: Make) -> dict[str, Any]:
    ids = torch.tensor([[1, 2], [1, 1]])
    return {"model": model_of(make, TABLE.log(), 8), "ids": ids, "max_new_tokens": 3, "temperature": 0.0}


@exercise.visible(en="prompts longer than the model can read", ja="モデルが読める長さを超えるプロンプト")
def _(make: Make) -> dict[str, Any]:
    ids = make.integers(0, 6, 2, 6)
    return {"model": model_of(make, make.normal(5, 6), 4), "ids": ids, "max_new_tokens": 5, "temperature": 0}


@exercise.visible(en="drawn from the likeliest token alone", ja="最も確からしいトークンだけから引く場合")
def _(make: Make) -> Trial:
    model, ids = model_of(make, make.normal(5, 7), 9), make.integers(0, 7, 3, 2)
    return watched(make, model=model, ids=ids, max_new_tokens=4, temperature=1.5, top_k=1)


@exercise.visible(en="no new token", ja="新しいトークンが 0 個の場合")
def _(make: Make) -> dict[str, Any]:
    return {"model": model_of(make, make.normal(4, 5), 6), "ids": make.integers(0, 5, 2, 3), "max_new_tokens": 0}


@exercise.hidden(en="greedily, three rows", ja="3 行の貪欲な生成", weight=2)
def _(make: Make) -> dict[str, Any]:
    model, ids = model_of(make, make.normal(7, 9), 12), make.integers(0, 9, 3, 4)
    return {"model": model, "ids": ids, "max_new_tokens": 6, "temperature": 0.0}


@exercise.hidden(en="a text that outgrows what the model can read", ja="モデルが読める長さを超えていくテキスト")
def _(make: Make) -> dict[str, Any]:
    model, ids = model_of(make, make.normal(7, 8), 5), make.integers(0, 8, 2, 3)
    return {"model": model, "ids": ids, "max_new_tokens": 7, "temperature": 0}


@exercise.hidden(en="the generator, and p = 0", ja="generator の使用と p = 0", weight=0.5)
def _(make: Make) -> Trial:
    model, ids = model_of(make, make.normal(6, 5), 8), make.integers(0, 5, 4, 2)
    return watched(make, model=model, ids=ids, max_new_tokens=5, temperature=2.0, top_p=0.0)


# -- judged: what was drawn --------------------------------------------------------------------------------------------

_FORM = Text(
    "the result must hold whole numbers, one row for each prompt.",
    "結果は、プロンプトごとに 1 行の整数でなければなりません。",
)
_FEW = Text("too few tokens are written.", "書かれたトークンが足りません。")
_MANY = Text("too many tokens are written.", "書かれたトークンが多すぎます。")
_PROMPT = Text(
    "the prompt does not stand unchanged at the beginning.", "先頭に、もとのプロンプトがそのまま残っていません。"
)
_UNKNOWN = Text("there are ids that the vocabulary does not have.", "語彙にない ID があります。")
_FILTER = Text(
    "tokens were drawn that the filters should have ruled out.",
    "フィルタで除かれるはずのトークンが引かれています。",
)
_NEVER = Text(
    "tokens that the filters leave are never drawn.", "フィルタを通ったはずのトークンが、一度も引かれていません。"
)
_SHARES = Text(
    "the tokens are not drawn as often as their probabilities say.",
    "トークンの引かれる頻度が、確率と合っていません。",
)
_PLAIN = Text("the tokens are drawn as if the temperature were 1.", "温度が 1 であるかのように引かれています。")
_SAME = Text(
    "all rows with the same prompt are continued alike.", "同じプロンプトの行が、すべて同じように続いています。"
)

# Of n draws of probability p a share q or one farther off comes with a chance of at most exp(-n·KL(q, p)) (Chernoff),
# which is below 10^-17 where n·KL is beyond 40. Fewer than 100 shares are looked at in a case, each of up to 6,000
# draws: whatever their numbers, a right answer fails less than once in 10^11.
FAR = 40.0


def chances(model: nn.Module, text: Tensor, new: int, temperature: float, inputs: Mapping[str, Any]) -> Tensor:
    """The right distribution of each of the last `new` tokens of a text, (batch, new, vocab_size)."""
    logits = model(text[:, :-1])[:, -new:] / temperature
    if inputs.get("top_k") is not None:
        logits = top_k_filter(logits, inputs["top_k"])
    if inputs.get("top_p") is not None:
        logits = top_p_filter(logits, inputs["top_p"])
    return logits.softmax(dim=-1)


def unfit(rows: Tensor, written: Tensor, right: Tensor) -> tuple[bool, bool]:
    """Whether any token comes too often or too seldom after a row of the table, and whether one never comes at all."""
    off = missing = False
    for row in rows.unique():
        here = written[rows == row]
        for token, chance in enumerate(right[rows == row][0].tolist()):
            share = float((here == token).double().mean())
            parts = [(share, chance), (1 - share, 1 - chance)]
            if 0 < chance < 1 and len(here) * sum(q * math.log(q / p) for q, p in parts if q > 0) > FAR:
                off, missing = True, missing or share == 0
    return off, missing


def drawn_rightly(inputs: Mapping[str, Any], expected: Any, actual: Any) -> Text | None:
    """What every right text has in common, and how often each token follows on each row of the model's table."""
    ids, new, text = inputs["ids"], inputs["max_new_tokens"], torch.as_tensor(actual)
    if text.ndim != 2 or len(text) != len(ids) or text.is_floating_point() or text.dtype == torch.bool:
        return _FORM
    if text.size(1) != ids.size(1) + new:
        return _FEW if text.size(1) < ids.size(1) + new else _MANY
    if not torch.equal(text[:, : ids.size(1)].long(), ids):
        return _PROMPT
    model, written = build_inputs({"model": inputs["model"]}, "cpu")["model"], text[:, -new:].long()
    if not bool(((written >= 0) & (written < model.config.vocab_size)).all()):
        return _UNKNOWN
    first = written[(ids == ids[0]).all(dim=1)]
    if len(first) > 100 and bool((first == first[0]).all()):
        return _SAME
    temperature, rows = inputs.get("temperature", 1.0), model.rows_read(text.long()[:, :-1])[:, -new:]
    right = chances(model, text.long(), new, temperature, inputs)
    if bool((right.gather(-1, written.unsqueeze(-1)) == 0).any()):
        return _FILTER
    off, missing = unfit(rows, written, right)
    if not off:
        return None
    plain = chances(model, text.long(), new, 1.0, inputs)
    return _NEVER if missing else _SHARES if unfit(rows, written, plain)[0] else _PLAIN


def many(make: Make, table: Tensor, vocab_size: int, **options: Any) -> dict[str, Any]:
    """1,500 rows of three prompts in turn, continued by four tokens each: 6,000 draws."""
    ids = make.integers(0, vocab_size, 3, 2).repeat(500, 1)
    seed = int(make.integers(0, 2**31, 1))
    generator = make.recipe("autograder.recipes:generator", seed)
    return {"model": model_of(make, table, 9), "ids": ids, "max_new_tokens": 4, **options, "generator": generator}


def falling(make: Make, rows: int, *falls: float) -> Tensor:
    """Logits whose ordered values fall by such steps, up to 3 % of them, in an order of each row's own."""
    steps = torch.tensor([0.0, *falls]).double().cumsum(dim=0) * make.uniform(rows, 1, low=0.97, high=1.03)
    return (-steps).gather(1, make.uniform(rows, len(falls) + 1).argsort(dim=1))


@exercise.hidden(
    en="how often each token is drawn, with a temperature",
    ja="温度を変えたときの、各トークンの頻度",
    weight=2,
    judge=drawn_rightly,
    again=False,
    seconds=20,
)
def _(make: Make) -> dict[str, Any]:
    return many(make, falling(make, 4, 0.5, 0.4, 0.4, 0.4), 5, temperature=0.5)


@exercise.hidden(
    en="what the defaults draw", ja="既定値のままの生成", weight=0.5, judge=drawn_rightly, again=False, seconds=20
)
def _(make: Make) -> dict[str, Any]:
    return many(make, falling(make, 3, 0.5, 0.4, 0.5), 4)


# From the likeliest, by a fall of 0.8 each: 0.56 0.25 0.11 ... at temperature 1, and at 2: 0.35 0.24 0.16 0.11 0.07 ...
# Top-p with 0.5 keeps 1 token at temperature 1 and 2 at temperature 2.
@exercise.hidden(
    en="the temperature before top-p",
    ja="温度を top-p より先に適用すること",
    judge=drawn_rightly,
    again=False,
    seconds=20,
)
def _(make: Make) -> dict[str, Any]:
    return many(make, falling(make, 4, *[0.8] * 5), 6, temperature=2.0, top_p=0.5)


# At temperature 1 the first three have 0.35 0.24 0.16 0.11 ...: top-p with 0.62 keeps three. After top-k with 3 they
# have 0.47 0.32 0.21, and two are enough.
@exercise.hidden(
    en="top-k before top-p", ja="top-k を top-p より先に適用すること", judge=drawn_rightly, again=False, seconds=20
)
def _(make: Make) -> dict[str, Any]:
    return many(make, falling(make, 4, *[0.4] * 5), 6, temperature=1.0, top_k=3, top_p=0.62)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def loop(
    model: nn.Module,
    ids: Tensor,
    new: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
    *,
    shown: Any = lambda ids, most: ids[:, -most:],
    order: str = "tkp",
    greedy: bool = True,
) -> Tensor:
    """A right answer, but for what a mistake puts in its place."""
    steps = {"t": lambda x: x / torch.tensor(temperature), "m": lambda x: x * temperature}
    steps["k"] = lambda x: x if top_k is None else top_k_filter(x, top_k)
    steps["p"] = lambda x: x if top_p is None else top_p_filter(x, top_p)
    for _ in range(new):
        logits = model(shown(ids, model.config.max_len))[:, -1]
        if temperature == 0 and greedy:
            chosen = logits.argmax(dim=-1, keepdim=True)
        else:
            for step in order:
                logits = steps[step](logits)
            chosen = torch.multinomial(logits.softmax(dim=-1), 1, generator=generator)
        ids = torch.cat([ids, chosen], dim=1)
    return ids


@exercise.mistake(
    en="Too few tokens are written.",
    ja="書かれたトークンが足りません。",
    hint_en="How often does your loop run? Does it begin to count at 1, or count the prompt as well?",
    hint_ja="ループは何回まわっていますか。1 から数え始めたり、プロンプトの分まで数えたりしていませんか。",
)
def one_too_few(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, max(new - 1, 0), *how, **more)


@exercise.mistake(
    en="Too many tokens are written.",
    ja="書かれたトークンが多すぎます。",
    hint_en="How many tokens does max_new_tokens = 0 ask for, and how many do you write then?",
    hint_ja="max_new_tokens = 0 のとき、書くべきトークンはいくつですか。あなたの関数はいくつ書いていますか。",
)
def one_too_many(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new + 1, *how, **more)


@exercise.mistake(
    en="Only the new tokens are returned, without the prompt.",
    ja="新しいトークンだけを返していて、プロンプトが入っていません。",
    hint_en="How many columns does the docstring promise?",
    hint_ja="docstring では、列はいくつになるはずですか。",
)
def without_the_prompt(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more)[:, ids.size(1) :]


@exercise.mistake(
    en="The model is shown the last token alone, not all that is written so far.",
    ja="モデルに、それまでに書いた全体ではなく、最後のトークンだけを見せています。",
    hint_en="A Transformer keeps no state from call to call. Where does it get the beginning of the text from?",
    hint_ja="Transformer は、呼び出しの間に状態を持ちません。文の初めの部分は、どこから受け取るのでしょうか。",
)
def only_the_last_token(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, shown=lambda ids, most: ids[:, -1:])


@exercise.mistake(
    en="A text longer than max_len is handed to the model whole, and the model fails.",
    ja="max_len より長いテキストを丸ごと渡しているため、モデルがエラーになります。",
    hint_en="For how many positions has the model learned something? Which tokens say most about the next one?",
    hint_ja="モデルは、いくつの位置について学習していますか。次のトークンの手がかりになるのは、どのあたりのトークンでしょうか。",
)
def too_long_for_the_model(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, shown=lambda ids, most: ids)


@exercise.mistake(
    en="Of a text that is too long the model is shown the beginning, not the end.",
    ja="長すぎるテキストの、末尾ではなく先頭をモデルに見せています。",
    hint_en="What would the model read at the next step, when one more token has been written?",
    hint_ja="トークンをもう一つ書いた後、次のステップでモデルは何を読むことになりますか。",
)
def the_beginning_is_shown(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, shown=lambda ids, most: ids[:, :most])


@exercise.mistake(
    en="The logits are multiplied by the temperature: a high one makes the model surer, not freer.",
    ja="ロジットに温度を掛けています。温度を上げるほど、分布が平らになるどころか尖ってしまいます。",
    hint_en="At which temperature should the largest logit win for certain: a low or a high one?",
    hint_ja="最大のロジットがほぼ必ず選ばれるのは、温度が低いときでしょうか、高いときでしょうか。",
)
def multiplied(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, order="mkp")


@exercise.mistake(
    en="The temperature changes nothing: the draws come from the plain softmax.",
    ja="温度が効いていません。もとのロジットのソフトマックスから引いています。",
    hint_en="What are the logits divided by before the softmax? Is the result of the division used?",
    hint_ja="ソフトマックスの前に、ロジットを何で割りますか。割った結果を使っていますか。",
)
def temperature_ignored(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, order="kp")


@exercise.mistake(
    en="The filters come before the temperature: top-p counts other probabilities than those drawn from.",
    ja="フィルタを温度より先に適用しています。top-p が、実際に引く分布とは違う確率を数えています。",
    hint_en="Which probabilities must reach p: those before the division, or those that are drawn from?",
    hint_ja="p に達するべきなのは、割る前の確率でしょうか、実際に引くときの確率でしょうか。",
)
def filters_before_temperature(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, order="kpt")


@exercise.mistake(
    en="Top-p comes before top-k.",
    ja="top-p を top-k より先に適用しています。",
    hint_en="The docstring says which filter is the second. How do the probabilities change that it adds up?",
    hint_ja="docstring では、どちらのフィルタが後ですか。順序によって、足し合わせる確率はどう変わるでしょうか。",
)
def top_p_first(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, order="tpk")


@exercise.mistake(
    en="The filters are not applied, or what they return is not used.",
    ja="フィルタを適用していないか、その戻り値を使っていません。",
    hint_en="A filter returns new logits. Which ones does the softmax see?",
    hint_ja="フィルタは新しいロジットを返します。ソフトマックスに渡しているのは、どちらのロジットですか。",
)
def filters_forgotten(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, order="t")


@exercise.mistake(
    en="The generator is not used: the draws come from elsewhere, and nobody can repeat them.",
    ja="generator を使っていません。別のところから乱数を引いているので、同じ結果を再現できません。",
    hint_en="Where does torch.multinomial draw from if it is not told?",
    hint_ja="torch.multinomial は、何も指定しないとどこから乱数を引きますか。",
)
def global_generator(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **{**more, "generator": None})


@exercise.mistake(
    en="At temperature 0 the logits are divided by 0, and nothing can be drawn from the nan that comes of it.",
    ja="温度 0 のときに 0 で割っているため nan になり、引くことができません。",
    hint_en="Which token alone is left as the temperature goes to 0? It can be found without a division.",
    hint_ja="温度を 0 に近づけていくと、どのトークンだけが残りますか。それは、割り算をしなくても求められます。",
)
def no_greedy_choice(model: nn.Module, ids: Tensor, new: int, *how: Any, **more: Any) -> Tensor:
    return loop(model, ids, new, *how, **more, greedy=False)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
@torch.no_grad()
def by_gumbel(
    model: Any,
    ids: Tensor,
    new: int,
    temperature: Any = 1.0,
    top_k: Any = None,
    top_p: Any = None,
    generator: Any = None,
) -> Tensor:
    """Drawn by adding Gumbel noise and taking the largest; the greedy choice is the same without the noise."""
    text = torch.empty(len(ids), ids.size(1) + new, dtype=torch.long, device=ids.device)
    text[:, : ids.size(1)] = ids
    for place in range(ids.size(1), text.size(1)):
        scores = model(text[:, max(place - model.config.max_len, 0) : place])[:, -1]
        if temperature > 0:
            scores = scores / temperature
            scores = top_k_filter(scores, top_k) if top_k is not None else scores
            scores = top_p_filter(scores, top_p) if top_p is not None else scores
            noise = torch.rand(scores.shape, generator=generator, device=scores.device, dtype=torch.float64)
            scores = scores - (-noise.clamp(min=1e-300).log()).log()
        text[:, place] = scores.max(dim=-1).indices
    return text


@exercise.accepted
@torch.no_grad()
def row_by_row(
    model: Any,
    ids: Tensor,
    new: int,
    temperature: Any = 1.0,
    top_k: Any = None,
    top_p: Any = None,
    generator: Any = None,
) -> Tensor:
    """One text after the other, as a list; a number from [0, 1) is looked up in the cumulative probabilities."""
    model.eval()
    rows = []
    for row in ids.tolist():
        for _ in range(new):
            shown = torch.tensor([row[-model.config.max_len :]], device=ids.device)
            logits = model(shown)[0, -1]
            if temperature == 0:
                row.append(int(logits.argmax()))
                continue
            logits = logits / temperature
            if top_k:
                logits = top_k_filter(logits, top_k)
            if top_p is not None:
                logits = top_p_filter(logits, top_p)
            sums = logits.softmax(dim=0).cumsum(dim=0)
            point = torch.rand(1, generator=generator, device=ids.device, dtype=sums.dtype) * sums[-1]
            row.append(int(torch.searchsorted(sums, point, right=True)))
        rows.append(row)
    return torch.tensor(rows, device=ids.device)
