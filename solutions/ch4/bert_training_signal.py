"""How much a row teaches BERT, and how much it teaches a GPT (the comparison of Clark et al., 2020, section 1).

Rows of 128 tokens, three of them marks; BERT predicts 15 % of the others, a GPT every token but the first.
"""

from autograder.exercise import ConceptQuestion

TOKENS, MARKS, STEPS, CHOSEN = 128, 3, 1000, 0.15


def steps(per_row_of_bert: float, per_row_of_gpt: float = TOKENS - 1) -> float:
    """How many steps BERT needs for the predictions that the GPT makes in STEPS steps."""
    return round(STEPS * per_row_of_gpt / per_row_of_bert, 1)


exercise = ConceptQuestion(
    steps(CHOSEN * (TOKENS - MARKS)),
    points=1,
    objectives=["4.2"],
    title_en="How much a row teaches",
    title_ja="一行から学べる量",
    rtol=2e-3,
)
exercise.misconception(
    float(STEPS),
    en="You let BERT predict every token.",
    ja="BERT がすべてのトークンを予測すると考えています。",
    hint_en="What is the label of a token that was not chosen?",
    hint_ja="選ばれなかったトークンのラベルは何ですか。",
)
exercise.misconception(
    steps(CHOSEN, 1),
    en="The 15 % are taken of the same tokens that the GPT predicts.",
    ja="GPT が予測するトークンと同じものの 15 % を数えています。",
    hint_en="Of which tokens of a row does BERT choose, and which of them can it never choose?",
    hint_ja="BERT は行のどのトークンの中から選びますか。決して選ばれないトークンはいくつありますか。",
)
exercise.misconception(
    steps(CHOSEN * TOKENS),
    en="The marks [CLS] and [SEP] are among the tokens from which you let BERT choose.",
    ja="[CLS] と [SEP] も選ばれうるものとして数えています。",
    hint_en="Three tokens of the row never get a label.",
    hint_ja="行の中の三つのトークンには、ラベルが付くことがありません。",
)
exercise.misconception(
    steps(0.8 * CHOSEN * (TOKENS - MARKS)),
    en="Only the tokens that became [MASK] are counted.",
    ja="[MASK] になったトークンしか数えていません。",
    hint_en="What does the model have to answer where a chosen token was exchanged, or left as it is?",
    hint_ja="選ばれたトークンが別の単語になったり、そのまま残ったりした位置で、モデルは何を答えなければなりませんか。",
)
exercise.misconception(
    round(STEPS / steps(CHOSEN * (TOKENS - MARKS)) * STEPS, 1),
    en="The ratio is turned round: BERT would need fewer steps.",
    ja="比が逆です。それでは BERT のほうが少ないステップで済むことになります。",
    hint_en="Which of the two learns from more tokens of a row?",
    hint_ja="一行の中で、より多くのトークンから学ぶのはどちらですか。",
)
