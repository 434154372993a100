"""Splitting the features of a sequence over heads, and merging them back (Vaswani et al., 2017, section 3.2.2).

Concat(head_1, ..., head_h): head i owns the i-th block of d_model / h neighbouring features of every token.
"""

import torch
from torch import Tensor

from autograder.exercise import Exercise
from autograder.make import Make, Trial


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Give every head its own block of neighbouring features.

    Args:
        x: (batch, time, d_model).
        num_heads: divides d_model; head_dim = d_model / num_heads.

    Returns:
        (batch, heads, time, head_dim). Head h holds, of every token, the features from h * head_dim up to,
        but without, (h + 1) * head_dim.
    """
    ### BEGIN SOLUTION
    batch, time, d_model = x.shape
    return x.reshape(batch, time, num_heads, d_model // num_heads).transpose(1, 2)
    ### END SOLUTION


def merge_heads(x: Tensor) -> Tensor:
    """Undo split_heads: put the heads' features side by side again, head 0 first.

    Args:
        x: (batch, heads, time, head_dim).

    Returns:
        (batch, time, heads * head_dim), so that merge_heads(split_heads(x, num_heads)) equals x.
    """
    ### BEGIN SOLUTION
    batch, heads, time, head_dim = x.shape
    return x.transpose(1, 2).reshape(batch, time, heads * head_dim)
    ### END SOLUTION


exercise = Exercise(
    split_heads,
    merge_heads,
    points=3,
    objectives=["1.4"],
    title_en="Split and merge heads",
    title_ja="ヘッドの分割と結合",
)


def _numbered(time: int, features: int) -> Tensor:
    """Entry [t, f] is 10 t + f: the tens say the token and the units the feature, so that a mix-up can be read off."""
    return 10.0 * torch.arange(time, dtype=torch.float64)[:, None] + torch.arange(features, dtype=torch.float64)


@exercise.visible(en="split: four tokens, two heads of three features", ja="分割：トークン 4 個、3 次元のヘッド 2 個")
def _(make: Make) -> Trial:
    return make.call("split_heads", x=_numbered(4, 6)[None], num_heads=2)


@exercise.visible(en="split: a batch of sequences", ja="分割：系列のバッチ")
def _(make: Make) -> Trial:
    return make.call("split_heads", x=make.normal(2, 5, 12), num_heads=3)


@exercise.visible(en="merge: two heads of three features, four tokens", ja="結合：3 次元のヘッド 2 個、トークン 4 個")
def _(make: Make) -> Trial:
    tokens = _numbered(4, 6)
    return make.call("merge_heads", x=torch.stack([tokens[:, :3], tokens[:, 3:]])[None])


@exercise.visible(en="merge: a batch of sequences", ja="結合：系列のバッチ")
def _(make: Make) -> Trial:
    return make.call("merge_heads", x=make.normal(2, 3, 5, 4))


@exercise.hidden(en="split: another batch", ja="分割：別のバッチ", weight=2)
def _(make: Make) -> Trial:
    return make.call("split_heads", x=make.normal(3, 7, 20), num_heads=4)


@exercise.hidden(en="merge: another batch", ja="結合：別のバッチ", weight=1.5)
def _(make: Make) -> Trial:
    return make.call("merge_heads", x=make.normal(3, 4, 7, 5))


@exercise.hidden(
    en="merge: a single token, gradients flow back to the input",
    ja="結合：トークン 1 個、勾配が入力まで伝わる",
    gradients=True,
    weight=0.5,
)
def _(make: Make) -> Trial:
    return make.call("merge_heads", x=make.normal(4, 2, 1, 5))


@exercise.mistake(
    answer="split_heads",
    en="x is cut straight into (batch, heads, time, head_dim): the shape is right, but the tokens are mixed.",
    ja="x をいきなり (batch, heads, time, head_dim) に変形しています。形状は合っていますが、トークンが混ざっています。",
    hint_en="A reshape keeps the numbers in the order in which they lie in memory. Which axis can be cut in two "
    "without moving any number, and which axes must then change places?",
    hint_ja="reshape はメモリ上の数値の並び順を変えません。数値を動かさずに二つに分けられる軸はどれでしょうか。"
    "その後で入れ替えるべき軸はどれとどれでしょうか。",
)
def split_without_transpose(x: Tensor, num_heads: int) -> Tensor:
    batch, time, d_model = x.shape
    return x.reshape(batch, num_heads, time, d_model // num_heads)


@exercise.mistake(
    answer="split_heads",
    en="The head axis stays behind the time axis: (batch, time, heads, head_dim).",
    ja="ヘッドの軸が時間の軸の後ろに残り、(batch, time, heads, head_dim) になっています。",
    hint_en="A matrix product works on the last two axes. Which two axes must those be for the tokens of one head "
    "to attend to each other?",
    hint_ja="行列積は最後の二つの軸に対して計算されます。一つのヘッドの中でトークンどうしが注意を向け合うには、"
    "最後の二つはどの軸であるべきでしょうか。",
)
def split_without_moving_heads(x: Tensor, num_heads: int) -> Tensor:
    batch, time, d_model = x.shape
    return x.reshape(batch, time, num_heads, d_model // num_heads)


@exercise.mistake(
    answer="split_heads",
    en="The features are dealt out to the heads in turn, as cards are, instead of in blocks of neighbours.",
    ja="特徴が、隣り合うまとまりごとではなく、トランプを配るように一つずつ順番にヘッドへ割り振られています。",
    hint_en="When the last axis becomes two, the second of the two runs fastest. Should neighbouring features belong "
    "to the same head or to different heads?",
    hint_ja="最後の軸を二つに分けると、後ろの軸のほうが速く動きます。隣り合う特徴は同じヘッドに入るべきでしょうか、"
    "それとも別々のヘッドに入るべきでしょうか。",
)
def split_in_turn(x: Tensor, num_heads: int) -> Tensor:
    batch, time, d_model = x.shape
    return x.reshape(batch, time, d_model // num_heads, num_heads).permute(0, 3, 1, 2)


@exercise.mistake(
    answer="merge_heads",
    en="The heads are merged without moving the time axis back: the shape is right, but the tokens are mixed.",
    ja="時間の軸を元の位置に戻さずに結合しています。形状は合っていますが、トークンが混ざっています。",
    hint_en="Only neighbouring axes can be joined into one. Which axis has to stand beside head_dim first?",
    hint_ja="一つにまとめられるのは隣り合う軸だけです。先に head_dim の隣へ移すべき軸はどれでしょうか。",
)
def merge_without_transpose(x: Tensor) -> Tensor:
    batch, heads, time, head_dim = x.shape
    return x.reshape(batch, time, heads * head_dim)


@exercise.mistake(
    answer="merge_heads",
    en="view is called on a transposed tensor, whose numbers do not lie in that order in memory.",
    ja="転置したテンソルに view を使っています。数値がメモリ上でその順番に並んでいないため、エラーになります。",
    hint_en="A transpose only changes how the memory is read, and view never copies. Which method copies when it must?",
    hint_ja="転置はメモリの読み方を変えるだけで、view はコピーを作りません。"
    "必要に応じてコピーを作るメソッドはどれでしょうか。",
)
def merge_with_view(x: Tensor) -> Tensor:
    batch, heads, time, head_dim = x.shape
    return x.transpose(1, 2).view(batch, time, heads * head_dim)


@exercise.accepted(answer="split_heads")
def split_with_unflatten(x: Tensor, num_heads: int) -> Tensor:
    return x.unflatten(-1, (num_heads, -1)).transpose(-3, -2)


@exercise.accepted(answer="split_heads")
def split_with_chunks(x: Tensor, num_heads: int) -> Tensor:
    return torch.stack(x.chunk(num_heads, dim=-1), dim=1)


@exercise.accepted(answer="split_heads")
def split_with_view(x: Tensor, num_heads: int) -> Tensor:
    return x.view(x.size(0), -1, num_heads, x.size(2) // num_heads).permute(0, 2, 1, 3).contiguous()


@exercise.accepted(answer="merge_heads")
def merge_with_flatten(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)


@exercise.accepted(answer="merge_heads")
def merge_with_concatenation(x: Tensor) -> Tensor:
    return torch.cat([x[:, head] for head in range(x.size(1))], dim=-1)


@exercise.accepted(answer="merge_heads")
def merge_with_contiguous_view(x: Tensor) -> Tensor:
    return x.permute(0, 2, 1, 3).contiguous().view(x.size(0), x.size(2), -1)
