"""A cache of keys and values for generation (the incremental decoding of Shazeer, 2019, section 2.4).

A causal block never changes what it computed for earlier tokens, so their keys and values are kept, not computed anew.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autograder.course.gpt import GPT
from autograder.exercise import Exercise
from autograder.make import Make, Trial


class KVCache(nn.Module):
    """The keys and values that one attention layer has computed so far, and the attention to them.

    Attributes:
        keys, values: (batch, heads, tokens so far, head_dim); None as long as there are none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def length(self) -> int:
        """How many tokens the cache holds. Given."""
        return 0 if self.keys is None else self.keys.size(2)

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the keys and values of new tokens, after those of the earlier ones.

        Args:
            key, value: (batch, heads, new tokens, head_dim).

        Returns:
            All keys and all values so far, (batch, heads, tokens so far, head_dim) each: self.keys and self.values.
        """
        ### BEGIN SOLUTION
        if self.keys is None:
            self.keys, self.values = key, value
        else:
            self.keys, self.values = torch.cat([self.keys, key], dim=2), torch.cat([self.values, value], dim=2)
        return self.keys, self.values
        ### END SOLUTION

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Append the keys and values of new tokens, and let these tokens attend to all that they may see.

        New token i stands at place (length before) + i. It sees every earlier place and its own, and no later one:
        of the new tokens, too, it sees only those up to itself. The scores are divided by √head_dim.

        Args:
            query, key, value: (batch, heads, new tokens, head_dim); one new token or several (a prompt).

        Returns:
            (batch, heads, new tokens, head_dim): the same rows that attention over the whole sequence would give.
        """
        ### BEGIN SOLUTION
        before, new = self.length, query.size(2)
        keys, values = self.append(key, value)
        keep = torch.ones(new, before + new, dtype=torch.bool, device=query.device).tril(diagonal=before)
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=keep)
        ### END SOLUTION

    def in_pieces(self, query: Tensor, key: Tensor, value: Tensor, sizes: list[int]) -> Tensor:
        """Call `attend` on one piece of a sequence after the other, and join what it gives. Given, for the checks."""
        pieces = zip(query.split(sizes, dim=2), key.split(sizes, dim=2), value.split(sizes, dim=2), strict=True)
        return torch.cat([self.attend(*piece) for piece in pieces], dim=2)


def next_logits(model: GPT, ids: Tensor, caches: list[KVCache]) -> Tensor:
    """The logits of new tokens, computed from these tokens alone and from what the caches hold of earlier ones.

    Args:
        model: a GPT without dropout. model.token and model.position are its tables (nn.Embedding), model.blocks its
            blocks; model.logits(x) does what comes after the last block. A block is called as
            block(x, cache.attend): it then mixes its heads with the attention that it is handed.
        ids: (batch, new tokens), int64: the tokens that follow those in the caches; a prompt, when these are empty.
        caches: one for each block, in the same order, all of the same length. They hold the new tokens afterwards.

    Returns:
        (batch, new tokens, vocab_size): the last rows of model(all tokens so far).
    """
    ### BEGIN SOLUTION
    place = caches[0].length + torch.arange(ids.size(1), device=ids.device)
    x = model.token(ids) + model.position(place)
    for block, cache in zip(model.blocks, caches, strict=True):
        x = block(x, cache.attend)
    return model.logits(x)
    ### END SOLUTION


exercise = Exercise(
    KVCache,
    next_logits,
    points=4,
    objectives=["4.3"],
    title_en="A cache of keys and values",
    title_ja="キーとバリューのキャッシュ",
    equivalent={
        "place = caches[0].length + torch.arange(ids.size(1))": "on the CPU, where both are, there is nothing to move",
        "keep = torch.ones(new, before + new, dtype=torch.bool).tril(diagonal=before)": "as above",
        "place = caches[ -1].length + torch.arange(ids.size(1), device=ids.device)": "all are of the same length",
        "for block, cache in zip(model.blocks, caches, strict=False):": "there are as many caches as blocks",
        "for block, cache in zip(model.blocks, caches):": "there are as many caches as blocks",
    },
)


# -- cases -------------------------------------------------------------------------------------------------------------


def _heads(make: Make, *shape: int) -> dict[str, Tensor]:
    """Query, key and value of a sequence."""
    return {name: make.normal(*shape) for name in ("query", "key", "value")}


def _model(make: Make, seed: int, *more_ids: Any, layers: int = 2) -> dict[str, Any]:
    """A model, and its caches after they have read the first ids, if there are some."""
    sizes = {"vocab_size": 9, "max_len": 8, "d_model": 6, "num_heads": 2, "num_layers": layers}
    model = make.recipe("autograder.course.gpt:random_gpt", **sizes, seed=seed)
    return {"model": model, "caches": make.recipe("autograder.course.gpt:filled_caches", make.ref("model"), *more_ids)}


@exercise.visible(en="the two steps worked by hand in the text", ja="本文で手計算した 2 ステップ")
def _(make: Make) -> Trial:
    key, value = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    query = torch.tensor([[3.0, 5.0], [0.0, 0.0]])
    given = {"query": query, "key": key, "value": value}
    given = {name: each.double()[None, None] for name, each in given.items()}
    return make.module(KVCache, {}, method="in_pieces", **given, sizes=[1, 1])


@exercise.visible(en="a prompt of three tokens, then one by one", ja="3 トークンのプロンプトの後、1 トークンずつ")
def _(make: Make) -> Trial:
    return make.module(KVCache, {}, method="in_pieces", **_heads(make, 2, 3, 5, 4), sizes=[3, 1, 1])


@exercise.visible(en="next_logits, empty caches", ja="next_logits、空のキャッシュ")
def _(make: Make) -> Trial:
    return make.call("next_logits", **_model(make, 1), ids=make.integers(0, 9, 2, 4))


@exercise.visible(en="next_logits, one token after four", ja="next_logits、4 トークンの後の 1 トークン")
def _(make: Make) -> Trial:
    return make.call("next_logits", **_model(make, 2, make.integers(0, 9, 2, 4)), ids=make.integers(0, 9, 2, 1))


@exercise.hidden(en="token by token", ja="1 トークンずつ")
def _(make: Make) -> Trial:
    return make.module(KVCache, {}, method="in_pieces", **_heads(make, 3, 2, 6, 5), sizes=[1] * 6)


@exercise.hidden(en="a prompt alone", ja="プロンプトだけ")
def _(make: Make) -> Trial:
    return make.module(KVCache, {}, method="in_pieces", **_heads(make, 2, 4, 5, 3), sizes=[5])


@exercise.hidden(en="pieces of several sizes", ja="大きさの違う区切り", weight=1.5)
def _(make: Make) -> Trial:
    return make.module(KVCache, {}, method="in_pieces", **_heads(make, 2, 3, 9, 4), sizes=[2, 1, 4, 2])


@exercise.hidden(en="next_logits, a prompt and one block", ja="next_logits、プロンプト、1 ブロック", weight=0.5)
def _(make: Make) -> Trial:
    return make.call("next_logits", **_model(make, 3, layers=1), ids=make.integers(0, 9, 3, 5))


@exercise.hidden(en="next_logits, three tokens after five", ja="next_logits、5 トークンの後の 3 トークン", weight=1.5)
def _(make: Make) -> Trial:
    return make.call(
        "next_logits", **_model(make, 4, make.integers(0, 9, 2, 5), layers=3), ids=make.integers(0, 9, 2, 3)
    )


# -- wrong answers -----------------------------------------------------------------------------------------------------


@exercise.mistake(
    answer="KVCache",
    en="The cache forgets: only the new keys and values are kept.",
    ja="キャッシュが過去を忘れています。新しいキーとバリューしか残っていません。",
    hint_en="What does self.keys hold after the second call?",
    hint_ja="2 回目の呼び出しの後、self.keys には何が入っていますか。",
)
class Forgets(KVCache):
    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        self.keys, self.values = key, value
        return key, value


@exercise.mistake(
    answer="KVCache",
    en="The new keys and values are put before the old ones.",
    ja="新しいキーとバリューを、古いものの前に置いています。",
    hint_en="Which token's key stands in the first row of self.keys? Which one does the mask take it for?",
    hint_ja="self.keys の先頭の行は、どのトークンのキーですか。マスクはそれをどのトークンのものとみなしますか。",
)
class Backwards(KVCache):
    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        if self.keys is not None and self.values is not None:
            key, value = torch.cat([key, self.keys], dim=2), torch.cat([value, self.values], dim=2)
        self.keys, self.values = key, value
        return key, value


@exercise.mistake(
    answer="KVCache",
    en="The new tokens see each other without a mask: those of a prompt look ahead.",
    ja="新しいトークンどうしがマスクなしで見えています。プロンプトの中で、先のトークンを見ています。",
    hint_en="With one new token there is nothing to hide. What about the first of three?",
    hint_ja="新しいトークンが一つなら、隠すものはありません。では、三つのうちの最初のトークンはどうですか。",
)
class NoMask(KVCache):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, *self.append(key, value))


@exercise.mistake(
    answer="KVCache",
    en="The causal mask starts at the first key, as if the new tokens stood at the beginning of the sequence.",
    ja="因果マスクが先頭のキーから始まっています。新しいトークンが系列の先頭にあるかのように扱っています。",
    hint_en="A single new token after five old ones: how many keys does is_causal=True (or tril() with no diagonal) "
    "leave it?",
    hint_ja="5 トークンの後に新しいトークンが一つ来ます。is_causal=True（あるいは対角をずらさない tril()）では、"
    "見えるキーはいくつ残りますか。",
)
class MaskFromTheStart(KVCache):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, *self.append(key, value), is_causal=True)


@exercise.mistake(
    answer="KVCache",
    en="A new token does not see itself.",
    ja="新しいトークンが自分自身を見ていません。",
    hint_en="Is the key of a token in the cache when its query asks?",
    hint_ja="あるトークンのクエリが問いかけるとき、そのトークン自身のキーはキャッシュに入っていますか。",
)
class NotItself(KVCache):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        before, new = self.length, query.size(2)
        keys, values = self.append(key, value)
        keep = torch.ones(new, before + new, dtype=torch.bool, device=query.device).tril(diagonal=before - 1)
        keep[..., 0] = True
        return F.scaled_dot_product_attention(query, keys, values, attn_mask=keep)


@exercise.mistake(
    answer="next_logits",
    en="The positions of the new tokens start at 0 in every call.",
    ja="新しいトークンの位置が、呼び出しのたびに 0 から始まっています。",
    hint_en="At which place does a token stand that comes after four others?",
    hint_ja="四つのトークンの後に来るトークンは、何番目の位置にありますか。",
)
def from_zero(model: GPT, ids: Tensor, caches: list[KVCache]) -> Tensor:
    x = model.token(ids) + model.position.weight[: ids.size(1)]
    for block, cache in zip(model.blocks, caches, strict=True):
        x = block(x, cache.attend)
    return model.logits(x)


@exercise.mistake(
    answer="next_logits",
    en="The caches are not used: the blocks see the new tokens alone.",
    ja="キャッシュを使っていません。ブロックには新しいトークンしか見えていません。",
    hint_en="What is a block's second argument for?",
    hint_ja="ブロックの 2 番目の引数は、何のためのものですか。",
)
def caches_unused(model: GPT, ids: Tensor, caches: list[KVCache]) -> Tensor:
    place = caches[0].length + torch.arange(ids.size(1), device=ids.device)
    x = model.token(ids) + model.position(place)
    for block in model.blocks:
        x = block(x)
    return model.logits(x)


@exercise.mistake(
    answer="next_logits",
    en="All blocks share the first cache.",
    ja="すべてのブロックが、最初のキャッシュを共有しています。",
    hint_en="Do two blocks compute the same keys for the same token?",
    hint_ja="二つのブロックが、同じトークンに対して同じキーを計算するでしょうか。",
)
def one_cache(model: GPT, ids: Tensor, caches: list[KVCache]) -> Tensor:
    place = caches[0].length + torch.arange(ids.size(1), device=ids.device)
    x = model.token(ids) + model.position(place)
    for block in model.blocks:
        x = block(x, caches[0].attend)
    return model.logits(x)


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted(answer="KVCache")
class OneQueryAtATime(KVCache):
    """Every new token by itself: it asks as soon as its own key is there, and needs no mask."""

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        empty = key[:, :, :0]
        self.keys = torch.cat((empty if self.keys is None else self.keys, key), dim=-2)
        self.values = torch.cat((empty if self.values is None else self.values, value), dim=-2)
        return self.keys, self.values

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        rows = []
        for i in range(query.size(2)):
            keys, values = self.append(key[:, :, i : i + 1], value[:, :, i : i + 1])
            scores = torch.einsum("bhd,bhkd->bhk", query[:, :, i], keys) / query.size(-1) ** 0.5
            rows.append(torch.einsum("bhk,bhkd->bhd", scores.softmax(dim=-1), values))
        return torch.stack(rows, dim=2)


@exercise.accepted(answer="KVCache")
class WithScores(KVCache):
    """The mask from the places of queries and keys, -inf before the softmax."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = self.append(key, value)
        at = torch.arange(keys.size(2), device=keys.device)
        scores = query @ keys.mT / keys.size(3) ** 0.5
        scores = scores.masked_fill(at > at[-query.size(2) :, None], float("-inf"))
        return scores.softmax(-1) @ values


@exercise.accepted(answer="KVCache")
class WithRoom(KVCache):
    """Memory in advance: keys and values are views of a larger array, which is doubled when it is full."""

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        before, now = self.length, self.length + key.size(2)
        if before == 0 or self.room.size(3) < now:
            larger = key.new_empty(2, *key.shape[:2], 2 * now, key.size(3))
            if before:
                larger[:, :, :, :before] = self.room[:, :, :, :before]
            self.room = larger
        self.room[0, :, :, before:now] = key
        self.room[1, :, :, before:now] = value
        self.keys, self.values = self.room[:, :, :, :now]
        return self.keys, self.values


@exercise.accepted(answer="next_logits")
def by_number(model: GPT, ids: Tensor, caches: list[KVCache]) -> Tensor:
    seen = caches[0].length
    x = model.token(ids) + model.position.weight[seen : seen + ids.shape[1]]
    for number in range(len(model.blocks)):
        x = model.blocks[number](x, caches[number].attend)
    return F.linear(model.norm(x), model.token.weight)


@exercise.accepted(answer="next_logits")
def one_token_at_a_time(model: GPT, ids: Tensor, caches: list[KVCache]) -> Tensor:
    rows = []
    for column in ids.unbind(dim=1):
        place = torch.full_like(column, caches[-1].length)
        x = (model.token(column) + model.position(place))[:, None]
        for block, cache in zip(model.blocks, caches, strict=True):
            x = block(x, attend=cache.attend)
        rows.append(model.logits(x))
    return torch.cat(rows, dim=1)
