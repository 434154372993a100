"""A pretrained encoder in miniature, for tests that would wait for a real one."""

from collections.abc import Sequence
from pathlib import Path

import torch
import transformers

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def save_tiny_bert(
    folder: Path,
    words: Sequence[str],
    *,
    width: int = 8,
    layers: int = 1,
    heads: int = 2,
    inner: int = 8,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write a BERT with random weights and a tokenizer that knows these words, as `save_pretrained` writes them."""
    vocabulary = [*SPECIAL, *words]
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )
    transformers.BertModel(config).to(dtype).save_pretrained(folder)
    listed = folder / "words.txt"
    listed.write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    transformers.BertTokenizerFast(str(listed)).save_pretrained(folder)
    listed.unlink()
    return folder
