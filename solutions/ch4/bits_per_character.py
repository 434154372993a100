"""From nats for each token to bits for each character, which no longer depends on the tokenizer (section 4.4)."""

import math

from autograder.exercise import ConceptQuestion

NATS, CHARACTERS = 2.6, 4.0  # for each token

exercise = ConceptQuestion(
    round(NATS / math.log(2) / CHARACTERS, 4),
    points=1,
    objectives=["4.4"],
    title_en="Bits per character",
    title_ja="1 文字あたりのビット数",
    rtol=5e-3,
)
exercise.misconception(
    NATS / CHARACTERS,
    en="These are still nats.",
    ja="単位がナットのままです。",
    hint_en="The loss uses the natural logarithm. What does one nat hold in bits?",
    hint_ja="損失では自然対数を使っています。1 ナットは何ビットですか。",
)
exercise.misconception(
    NATS / math.log(2),
    en="These are bits for each token, not for each character.",
    ja="それは 1 文字あたりではなく、1 トークンあたりのビット数です。",
    hint_en="Over how many characters is the loss of one token spread?",
    hint_ja="1 トークン分の損失は、何文字に分配されますか。",
)
exercise.misconception(
    NATS / math.log(2) * CHARACTERS,
    en="The bits are multiplied by the characters of a token, where they are to be shared out.",
    ja="トークンの文字数で割るべきところを、掛けています。",
    hint_en="Should one character cost more than the token that it is a part of?",
    hint_ja="1 文字のコストが、それを含むトークンのコストより大きくなってよいでしょうか。",
)
exercise.misconception(
    NATS * math.log(2) / CHARACTERS,
    en="The change of logarithm goes the wrong way.",
    ja="対数の底の変換が逆向きです。",
    hint_en="ln 2 nats are one bit. Are there more bits or more nats in the same loss?",
    hint_ja="ln 2 ナットが 1 ビットです。同じ損失を表すとき、数が大きくなるのはビットとナットのどちらですか。",
)
exercise.misconception(
    math.exp(NATS) / CHARACTERS,
    en="The perplexity is divided, not the loss.",
    ja="損失ではなく、パープレキシティを割っています。",
    hint_en="Information adds up from character to character. Is perplexity a sum or a product?",
    hint_ja="情報量は文字ごとに足し合わせることができます。パープレキシティは和でしょうか、積でしょうか。",
)
