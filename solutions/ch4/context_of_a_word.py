"""What a word's vector can know of the words around it, in BERT and in GPT (Devlin et al., 2019, section 3, figure 3).

"The bank of the river was green." and "The bank of the city was closed.": in which model do the two vectors of *bank*
differ?
"""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["4.5"],
    title_en="What the vector of a word has seen",
    title_ja="単語のベクトルが見た文脈",
)
exercise.misconception(
    "a",
    en="You let a causal model look at what follows.",
    ja="因果的なモデルが、後ろの語を見られると考えています。",
    hint_en="Which positions does the mask of a decoder allow for the second word?",
    hint_ja="デコーダのマスクは、2 語目にどの位置を見ることを許していますか。",
)
exercise.misconception(
    "c",
    en="You have exchanged the two models.",
    ja="二つのモデルを取り違えています。",
    hint_en="Which of the two was trained to guess a word from its left side alone?",
    hint_ja="左側だけから単語を当てるように学習したのは、どちらのモデルですか。",
)
exercise.misconception(
    "d",
    en="You are thinking of a table of word vectors, where each word has one vector in all texts.",
    ja="どの文章でも一つの単語に一つのベクトルを割り当てる、単語ベクトルの表を思い浮かべています。",
    hint_en="That is what goes into the first layer. What does attention add to it?",
    hint_ja="それは最初の層に入る前の話です。注意機構は、そこに何を加えますか。",
)
