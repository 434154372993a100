"""The feed-forward network's share of a layer's weights (Vaswani et al., 2017, sections 3.2.2 and 3.3).

Matrices only, for d_model = 64 and d_ff = 192: four of d_model by d_model, two of d_model by d_ff.
"""

from autograder.exercise import ConceptQuestion

D_MODEL, D_FF = 64, 192
ATTENTION, NETWORK = 4 * D_MODEL * D_MODEL, 2 * D_MODEL * D_FF


def _share(network: int, attention: int) -> float:
    return round(network / (network + attention), 4)


exercise = ConceptQuestion(
    _share(NETWORK, ATTENTION),
    points=1,
    objectives=["2.3"],
    title_en="The feed-forward network's share of the weights",
    title_ja="フィードフォワードネットワークが占める重みの割合",
    rtol=5e-3,
)
exercise.misconception(
    _share(NETWORK // 2, ATTENTION),
    en="Only one of the network's two matrices is counted.",
    ja="ネットワークの二つの行列のうち、一つしか数えていません。",
    hint_en="How does a token get back from d_ff to d_model features?",
    hint_ja="トークンは、d_ff 個の特徴から d_model 個へどうやって戻りますか。",
)
exercise.misconception(
    _share(NETWORK, 3 * D_MODEL * D_MODEL),
    en="The attention's output projection is not counted.",
    ja="注意の出力の射影を数えていません。",
    hint_en="What happens to the heads' results after they have been merged?",
    hint_ja="ヘッドの結果を結合した後、何をしますか。",
)
exercise.misconception(
    _share(2 * D_MODEL * D_MODEL, ATTENTION),
    en="The network is taken to be no wider inside than outside.",
    ja="ネットワークの内側の次元も d_model だと考えています。",
    hint_en="Which shape do w1 and w2 have?",
    hint_ja="w1 と w2 の形状は何でしたか。",
)
exercise.misconception(
    _share(ATTENTION, NETWORK),
    en="This is the share of the attention.",
    ja="これは注意が占める割合です。",
    hint_en="Which of the two does the question ask for?",
    hint_ja="どちらの割合が問われていますか。",
)
exercise.misconception(
    _share(2 * D_FF * D_FF, ATTENTION),
    en="The network's matrices are taken to be d_ff by d_ff.",
    ja="ネットワークの行列を d_ff × d_ff だと考えています。",
    hint_en="Which shape do w1 and w2 have?",
    hint_ja="w1 と w2 の形状は何でしたか。",
)
exercise.misconception(
    100 * _share(NETWORK, ATTENTION),
    en="This is a percentage.",
    ja="これは百分率です。",
    hint_en="The question asks for a number between 0 and 1.",
    hint_ja="0 から 1 までの数で答えてください。",
)
