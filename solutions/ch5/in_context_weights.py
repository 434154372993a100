"""What changes in a model when it is shown examples in its prompt (Brown et al., 2020, section 2)."""

from autograder.exercise import ConceptQuestion

exercise = ConceptQuestion(
    "b",
    choices="abcd",
    points=1,
    objectives=["5.4"],
    title_en="What the shots change",
    title_ja="例を見せると変わるもの",
)
exercise.misconception(
    "a",
    en="You take the prompt for training data.",
    ja="プロンプトを訓練データだと考えています。",
    hint_en="Which of the lines that make up a training step, loss, backward, optimizer.step, is run when a prompt is "
    "read?",
    hint_ja="学習の 1 ステップは、損失、backward、optimizer.step からなります。"
    "プロンプトを読むときに実行されるのはどれですか。",
)
exercise.misconception(
    "c",
    en="You expect something of the prompt to stay in the model after the call.",
    ja="呼び出しが終わった後も、プロンプトの何かがモデルに残ると考えています。",
    hint_en="Two users ask the same model one after the other. Does the second one's answer depend on the first one's "
    "shots?",
    hint_ja="二人の利用者が同じモデルに順番に質問します。二人目への答えは、一人目が見せた例に左右されるでしょうか。",
)
exercise.misconception(
    "d",
    en="You expect the model to look its answer up, and only where a shot has the same input.",
    ja="同じ入力の例があるときに、その出力を写しているだけだと考えています。",
    hint_en="In this section's regression no query equals an example. Compare the error with 0 and with 8 examples.",
    hint_ja="この節の回帰の実験では、query が例と一致することはありません。"
    "例が 0 個のときと 8 個のときの誤差を比べてみましょう。",
)
