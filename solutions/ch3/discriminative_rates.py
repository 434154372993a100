"""How strongly a layer decay acts on the lowest parts of a deep model (after Howard and Ruder, 2018)."""

from autograder.exercise import ConceptQuestion

# With twelve layers the embeddings lie 13 steps below the head: 0.5 ** 13 is about 1 / 8000.
exercise = ConceptQuestion(
    "a",
    choices="abcd",
    points=1,
    objectives=["3.3"],
    title_en="A strong layer decay in a deep model",
    title_ja="深いモデルに強い層減衰をかけると",
)
exercise.misconception(
    "b",
    en="You apply the factor once for all layers.",
    ja="係数を、全層に一度だけ掛けるものと考えています。",
    hint_en="From the head to the layer below it is one step. How many steps is it to the embeddings?",
    hint_ja="ヘッドからその下の層までが一段です。埋め込みまでは何段ありますか。",
)
exercise.misconception(
    "c",
    en="You take the order for the opposite one.",
    ja="順序を逆に考えています。",
    hint_en="Which part holds nothing yet that would be worth keeping?",
    hint_ja="残しておくべき知識をまだ何も持っていないのは、どの部分でしょうか。",
)
exercise.misconception(
    "d",
    en="You take the learning rate for something that Adam cancels.",
    ja="学習率の違いは Adam が打ち消すものと考えています。",
    hint_en="Adam divides a gradient by its own typical size. What is the quotient multiplied by before it is applied?",
    hint_ja="Adam は勾配をその典型的な大きさで割ります。適用する前に、その商には何が掛けられますか。",
)
