"""The memory of a cache of keys and values, for the largest GPT-2 (Radford et al., 2019, table 2).

48 blocks, d_model = 1600 (25 heads of 64), 1,000 tokens, 4 bytes for a number.
"""

from autograder.exercise import ConceptQuestion

LAYERS, HEADS, HEAD_DIM, TOKENS, BYTES = 48, 25, 64, 1000, 4

exercise = ConceptQuestion(
    2 * LAYERS * HEADS * HEAD_DIM * TOKENS * BYTES,
    points=1,
    objectives=["4.3"],
    title_en="The memory of a cache",
    title_ja="キャッシュのメモリ",
    rtol=5e-3,
)
exercise.misconception(
    LAYERS * HEADS * HEAD_DIM * TOKENS * BYTES,
    en="That is one of the two: the keys or the values.",
    ja="それはキーかバリューの、どちらか一方だけの量です。",
    hint_en="What does KVCache keep?",
    hint_ja="KVCache は何を保存していますか。",
)
exercise.misconception(
    2 * LAYERS * HEADS * HEAD_DIM * TOKENS,
    en="That is how many numbers there are, not how many bytes.",
    ja="それは数の個数です。バイト数ではありません。",
    hint_en="How much room does one of these numbers take?",
    hint_ja="その数一つを置くのに、どれだけの場所が必要ですか。",
)
exercise.misconception(
    2 * HEADS * HEAD_DIM * TOKENS * BYTES,
    en="That is the cache of one block.",
    ja="それは 1 ブロック分のキャッシュです。",
    hint_en="How many caches are handed to next_logits?",
    hint_ja="next_logits にはいくつのキャッシュを渡しますか。",
)
exercise.misconception(
    2 * LAYERS * HEAD_DIM * TOKENS * BYTES,
    en="That is the cache of one head in every block.",
    ja="それは、各ブロックにつき 1 ヘッド分だけの量です。",
    hint_en="Do all heads of a block share their keys?",
    hint_ja="一つのブロックのヘッドは、みな同じキーを共有していますか。",
)
exercise.misconception(
    LAYERS * HEADS * TOKENS * TOKENS * BYTES,
    en="That is the memory of the attention weights, (time, time) for each head: they are not kept.",
    ja="それは、ヘッドごとに (time, time) の注意の重みを保存するときのメモリです。重みは保存しません。",
    hint_en="Which of query, key, value and weights does a later token still ask for?",
    hint_ja="クエリ、キー、バリュー、重みのうち、後のトークンがまだ必要とするのはどれですか。",
)
exercise.misconception(
    3 * LAYERS * HEADS * HEAD_DIM * TOKENS * BYTES,
    en="The queries are kept, too.",
    ja="クエリまで保存しています。",
    hint_en="Who asks a second time with an old query?",
    hint_ja="古いクエリで、もう一度問いかけることはありますか。",
)
