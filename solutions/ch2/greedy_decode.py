"""Greedy decoding with an encoder-decoder model (Sutskever, Vinyals and Le, 2014, section 3.2, with a beam of one)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autograder.exercise import Exercise
from autograder.make import Make, Trial


@torch.no_grad()
def greedy_decode(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    """Write one output sentence for each row of source, at every step the likeliest next token.

    Args:
        model: has two methods. `model.encode(source)` reads the source and gives the memory (hand it on as it is);
            `model.decode(target, memory)` takes ids (batch, target_time) that begin with bos and gives the logits
            (batch, target_time, vocab) of the token that follows each position.
        source: (batch, source_time), ids. Read it once: the memory stays the same at every step.
        max_len: the largest number of tokens to write in a row, at least 1; bos is not counted, eos is.
        bos: the id that every row begins with; it is fed to the decoder and not returned.
        eos: the id that ends a row.

    Returns:
        ids (batch, written). A row ends with its first eos, and the places after it are filled with eos, too. Writing
        stops when all rows have ended or when max_len tokens are written, whichever comes first.
    """
    written = torch.full((len(source), 1), bos, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    ### BEGIN SOLUTION
    memory = model.encode(source)
    while written.size(1) <= max_len and not ended.all():
        logits = model.decode(written, memory)[:, -1]  # only the last position tells something new
        chosen = logits.argmax(dim=1).masked_fill(ended, eos)
        written = torch.cat([written, chosen[:, None]], dim=1)
        ended = chosen == eos  # a row that had ended still has: it was filled with eos
    return written[:, 1:]
    ### END SOLUTION


exercise = Exercise(
    greedy_decode,
    points=4,
    objectives=["2.5"],
    title_en="Greedy decoding",
    title_ja="貪欲デコーディング",
)


# -- cases -------------------------------------------------------------------------------------------------------------


def translating(
    make: Make,
    counts: Sequence[int],
    max_len: int,
    *,
    vocab_size: int = 9,
    pad: int = 0,
    bos: int = 1,
    eos: int = 2,
    after: tuple[str, ...] = (),
) -> Trial:
    """A batch whose rows have so many words each, and so end after one step more."""
    words = torch.tensor([token for token in range(vocab_size) if token not in (pad, bos, eos)])
    source = torch.full((len(counts), max(counts) + 2), pad)
    for row, count in zip(source, counts, strict=True):
        row[:count] = words[make.integers(0, len(words), count)]
    model = make.recipe("autograder.course.translator:ToyTranslator", vocab_size, pad, bos, eos, chained=True)
    return make.call(model=model, source=source, max_len=max_len, bos=bos, eos=eos, after=after)


@exercise.visible(en="the two sentences worked by hand in the text", ja="本文で手計算した二つの文")
def _(make: Make) -> dict[str, object]:
    model = make.recipe("autograder.course.translator:ToyTranslator", 7, 0, 1, 2)
    source = torch.tensor([[4, 5, 6], [3, 4, 0]])
    return {"model": model, "source": source, "max_len": 8, "bos": 1, "eos": 2}


@exercise.visible(
    en="four sentences, and what the model went through meanwhile", ja="四つの文と、呼び出し後のモデルの状態"
)
def _(make: Make) -> Trial:
    return translating(make, [3, 1, 4, 2], max_len=9, after=("model",))


@exercise.visible(en="max_len comes before eos", ja="eos より先に max_len に達する場合")
def _(make: Make) -> Trial:
    return translating(make, [4, 1, 6], max_len=4)


@exercise.hidden(
    en="rows that end at different times, with other ids", ja="行ごとに終わる時点が違う場合（id も別）", weight=2
)
def _(make: Make) -> Trial:
    return translating(make, [2, 5, 1, 3, 4], max_len=11, vocab_size=10, pad=6, bos=4, eos=3)


@exercise.hidden(en="a row that max_len cuts off", ja="max_len で打ち切られる行")
def _(make: Make) -> Trial:
    return translating(make, [6, 2], max_len=5, vocab_size=8, pad=2, bos=5, eos=4)


@exercise.hidden(en="the source is read once", ja="原文を読むのは一度だけ")
def _(make: Make) -> Trial:
    return translating(make, [4, 2, 3], max_len=7, vocab_size=11, pad=0, bos=9, eos=7, after=("model",))


# -- mistakes ----------------------------------------------------------------------------------------------------------


@exercise.mistake(
    en="A row that has ended goes on: other tokens stand after its eos.",
    ja="終わった行にまだ書き続けています。eos の後に別のトークンが並んでいます。",
    hint_en="The model does not know that a row has ended: asked again, it answers again. What has to stand in such a "
    "row, whatever the model says?",
    hint_ja="モデルは、その行が終わったことを知りません。もう一度尋ねれば、もう一度答えます。"
    "モデルが何と言おうと、終わった行に入れるべきものは何でしょうか。",
)
def rows_go_on_after_eos(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    written = torch.full((len(source), 1), bos, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    memory = model.encode(source)
    while written.size(1) <= max_len and not ended.all():
        chosen = model.decode(written, memory)[:, -1].argmax(dim=1)
        written = torch.cat([written, chosen[:, None]], dim=1)
        ended = ended | (chosen == eos)
    return written[:, 1:]


@exercise.mistake(
    en="All rows are stopped as soon as the first one ends.",
    ja="一つの行が終わった時点で、すべての行を止めています。",
    hint_en="Sentences differ in length. How many of the rows must have ended before nothing is left to write?",
    hint_ja="文の長さはまちまちです。書くものがなくなるのは、何行が終わったときでしょうか。",
)
def stopped_with_the_first(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    written = torch.full((len(source), 1), bos, device=source.device)
    memory = model.encode(source)
    for _ in range(max_len):
        chosen = model.decode(written, memory)[:, -1].argmax(dim=1)
        written = torch.cat([written, chosen[:, None]], dim=1)
        if (chosen == eos).any():
            break
    return written[:, 1:]


@exercise.mistake(
    en="Writing always goes on to max_len, although all rows have ended.",
    ja="すべての行が終わっても、いつも max_len まで書き続けています。",
    hint_en="The rows are right, but followed by columns that say nothing. When can the loop be left?",
    hint_ja="各行の中身は正しいのですが、その後ろに意味のない列が続いています。ループはいつ抜けられるでしょうか。",
)
def always_to_the_end(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    written = torch.full((len(source), 1), bos, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    memory = model.encode(source)
    for _ in range(max_len):
        chosen = model.decode(written, memory)[:, -1].argmax(dim=1).masked_fill(ended, eos)
        written = torch.cat([written, chosen[:, None]], dim=1)
        ended = chosen == eos
    return written[:, 1:]


@exercise.mistake(
    en="The decoder is fed the last token alone, not everything that is written so far.",
    ja="デコーダに、それまでに書いた全体ではなく、最後のトークンだけを渡しています。",
    hint_en="A recurrent network carries its past in its state. Where does the decoder of a Transformer get it from?",
    hint_ja="再帰型ネットワークは過去を状態として持ち運びます。Transformer のデコーダは、"
    "過去をどこから受け取るのでしょうか。",
)
def only_the_last_token_fed(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    chosen = torch.full((len(source),), bos, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    memory, written = model.encode(source), []
    while len(written) < max_len and not ended.all():
        chosen = model.decode(chosen[:, None], memory)[:, -1].argmax(dim=1).masked_fill(ended, eos)
        written.append(chosen)
        ended = chosen == eos
    return torch.stack(written, dim=1)


@exercise.mistake(
    en="bos is returned as if the model had written it.",
    ja="モデルが書いたものではない bos まで返しています。",
    hint_en="How many columns does the docstring promise, and what stands in your first one?",
    hint_ja="docstring では列はいくつになるはずですか。あなたの結果の最初の列には何が入っていますか。",
)
def bos_returned(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    begin = torch.full((len(source), 1), bos, device=source.device)
    return torch.cat([begin, greedy_decode(model, source, max_len, bos, eos)], dim=1)


@exercise.mistake(
    en="The source is read anew at every step: the sentences are right, the time is wasted.",
    ja="ステップのたびに原文を読み直しています。書かれた文は正しいのですが、時間が無駄になっています。",
    hint_en="Which of the two halves of the model depends on what has been written so far?",
    hint_ja="モデルの二つの部分のうち、それまでに書いた内容によって結果が変わるのはどちらでしょうか。",
)
def read_anew_at_every_step(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    written = torch.full((len(source), 1), bos, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    while written.size(1) <= max_len and not ended.all():
        logits = model.decode(written, model.encode(source))[:, -1]
        chosen = logits.argmax(dim=1).masked_fill(ended, eos)
        written = torch.cat([written, chosen[:, None]], dim=1)
        ended = chosen == eos
    return written[:, 1:]


# -- right answers written another way ---------------------------------------------------------------------------------


@exercise.accepted
def row_by_row(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    """One sentence after the other, as lists of numbers; the batch is put together at the end."""
    rows = []
    for sentence in source:
        memory, row = model.encode(sentence[None]), [bos]
        while len(row) <= max_len and eos not in row[1:]:
            probabilities = model.decode(torch.tensor([row], device=source.device), memory).softmax(dim=-1)
            row.append(int(probabilities[0, len(row) - 1].argmax()))
        rows.append(torch.tensor(row[1:], device=source.device))
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=eos)


@exercise.accepted
def only_the_rows_that_go_on(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    """A page full of eos is written on, and the decoder is asked about unfinished rows alone."""
    model.eval()
    page = source.new_full((source.size(0), max_len + 1), eos)
    page[:, 0] = bos
    memory, going = model.encode(source), torch.arange(source.size(0), device=source.device)
    for place in range(1, max_len + 1):
        best = model.decode(page[going, :place], memory[going])[:, -1].topk(1).indices.squeeze(1)
        page[going, place] = best
        going = going[best != eos]
        if not len(going):
            return page[:, 1 : place + 1]
    return page[:, 1:]


@exercise.accepted
def with_where(model: nn.Module, source: Tensor, max_len: int, bos: int, eos: int) -> Tensor:
    """Whether a row has ended is read off what it holds."""
    memory = model.encode(source)
    tokens = torch.full((source.shape[0], 1), bos, dtype=torch.long, device=source.device)
    for _ in range(max_len):
        going = (tokens[:, 1:] != eos).all(dim=1)
        if not bool(going.any()):
            break
        logits = model.decode(tokens, memory)
        chosen = torch.where(going, logits.max(dim=-1).indices[:, -1], eos)
        tokens = torch.hstack((tokens, chosen.unsqueeze(1)))
    return tokens[:, 1:]
