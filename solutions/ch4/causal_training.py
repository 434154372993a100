"""What the causal mask is good for in training (Vaswani et al., 2017, section 3.2.3, third item)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["4.3"],
    title_en="What the causal mask is good for in training",
    title_ja="学習における因果マスクの役割",
)
exercise.misconception(
    "a",
    en="You think of a recurrent network, in which each place has to wait for the one before it.",
    ja="前の位置の計算を待つ、再帰型ネットワークのように考えています。",
    hint_en="Look at one matrix product in the block. Does any of its rows need the result of another row?",
    hint_ja="ブロックの中の行列積を一つ取り上げてみましょう。ある行の計算に、別の行の結果は必要ですか。",
)
exercise.misconception(
    "c",
    en="You take training for generation, where the model goes on from its own words.",
    ja="モデルが自分の書いた言葉に続けていく「生成」と、学習とを混同しています。",
    hint_en="What is handed to the model in training: the text, or what it has predicted so far?",
    hint_ja="学習のときモデルに渡されるのは、元のテキストですか、それともモデルがそこまでに予測したものですか。",
)
exercise.misconception(
    "d",
    en="You think that only the last place gives a prediction.",
    ja="予測が得られるのは最後の位置だけだと考えています。",
    hint_en="What is the shape of the logits, and which token does each of their rows speak of?",
    hint_ja="ロジットの形状はどうなっていますか。その各行は、どのトークンについての予測ですか。",
)
