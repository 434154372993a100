"""Every sentence that a student reads from the engine, in both languages. One place, so that both stay whole."""

from autograder.text import Text

FINDINGS: dict[str, Text] = {
    # what was wrong in one case; {where} is empty or names the part of the result
    "missing": Text(
        "{answer} is not defined: the cell that defines it is missing, was not run, or has an error.",
        "{answer} が定義されていません。定義するセルがないか、実行されていないか、エラーになっています。",
    ),
    "not_attempted": Text("{answer} is not attempted yet.", "{answer} はまだ解答されていません。"),
    "not_callable": Text(
        "{answer} is of type {type}, not a function: was the name used for something else?",
        "{answer} は関数ではなく {type} です。同じ名前を別のものに使っていませんか。",
    ),
    "not_a_module": Text(
        "{answer} is not a class derived from nn.Module: keep the class line that the cell gives.",
        "{answer} が nn.Module を継承したクラスではありません。セルにある class の行はそのまま残してください。",
    ),
    "parameters": Text(
        "{answer} does not have the parameters that the text names: keep the given __init__. ({message})",
        "{answer} のパラメータ名が本文と違います。与えられた __init__ を変えないでください。({message})",
    ),
    "not_a_choice": Text("Answer with one of {choices}.", "{choices} のどれかで答えてください。"),
    "not_a_number": Text("Answer with a number.", "数値で答えてください。"),
    "raised": Text("it stopped with {type}: {message}", "{type} が発生して止まりました: {message}"),
    "raised_at": Text(
        "it stopped with {type}: {message} (line {line} of your cell: {source})",
        "{type} が発生して止まりました: {message} (セルの {line} 行目: {source})",
    ),
    "time": Text(
        "it did not finish within {seconds:g} s: is there a loop that never ends?",
        "{seconds:g} 秒以内に終わりませんでした。終わらないループはありませんか。",
    ),
    "crash": Text(
        "the process that ran it ended: did it call exit, or run out of memory?",
        "実行中のプロセスが終了しました。exit を呼んだか、メモリが足りなくなっていませんか。",
    ),
    "unreadable": Text(
        "what it returned could not be read: return tensors, numbers, strings, lists or dicts.",
        "返り値を読み取れませんでした。テンソル・数値・文字列・リスト・辞書のいずれかを返してください。",
    ),
    "unasked": Text(
        "it could not be asked: the notebook's process had ended and could not be started again.",
        "採点できませんでした。ノートブックのプロセスが終了し、再開もできませんでした。",
    ),
    "none": Text(
        "{where}None was returned: is there a return?", "{where}None が返されました。return を書き忘れていませんか。"
    ),
    "type": Text(
        "{where}the type is {actual} instead of {expected}.", "{where}{expected} ではなく {actual} が返されました。"
    ),
    "single": Text(
        "{where}a single tensor was returned instead of {expected} values.",
        "{where}{expected} 個の値ではなく、テンソルが一つだけ返されました。",
    ),
    "length": Text(
        "{where}{actual} values were returned instead of {expected}.",
        "{where}返された値の数が {actual} 個です (正しくは {expected} 個)。",
    ),
    "keys": Text(
        "{where}the keys are {actual} instead of {expected}.", "{where}キーが {actual} です (正しくは {expected})。"
    ),
    "shape": Text(
        "{where}the shape is {actual} instead of {expected}.", "{where}形状が {actual} です (正しくは {expected})。"
    ),
    "dtype": Text(
        "{where}the dtype is {actual} instead of {expected}.", "{where}dtype が {actual} です (正しくは {expected})。"
    ),
    "values": Text(
        "{where}{differ} of {total} entries differ, the largest by {worst:.2g} at {index}"
        " (expected {expected:.4g}, got {actual:.4g})",
        "{where}{total} 個中 {differ} 個の要素が異なります。最大の差は {index} の {worst:.2g} です"
        " (正解 {expected:.4g}、あなたの値 {actual:.4g})",
    ),
    "plain": Text(
        "{where}expected {expected}, got {actual}.", "{where}正解は {expected}、あなたの答えは {actual} です。"
    ),
    "detached": Text(
        "no gradient flows back to {name}: did you use .detach(), .item(), .data or NumPy?",
        "{name} まで勾配が伝わりません。.detach()・.item()・.data・NumPy を使っていませんか。",
    ),
    "again": Text(
        "a second call on the same inputs gives another answer.", "同じ入力でもう一度呼び出すと、違う答えになります。"
    ),
    "judged": Text("{text}", "{text}"),
}

# What a hidden case may say: never a number, a shape or a text that could carry a hidden input or an expected value.
HIDDEN_FINDINGS: dict[str, Text] = {
    "not_callable": Text("{answer} is not a function.", "{answer} が関数ではありません。"),
    "raised": Text("it stopped with {type}.", "{type} が発生して止まりました。"),
    # not the line: an answer can choose it freely, and it would carry digits of a hidden input
    "raised_at": Text("it stopped with {type}.", "{type} が発生して止まりました。"),
    "parameters": Text(
        "{answer} does not have the parameters that the text names: keep the given __init__.",
        "{answer} のパラメータ名が本文と違います。与えられた __init__ を変えないでください。",
    ),
    "type": Text("the result is of the wrong type.", "返り値の型が違います。"),
    "single": Text("the number of returned values is wrong.", "返された値の数が違います。"),
    "length": Text("the number of returned values is wrong.", "返された値の数が違います。"),
    "keys": Text("the keys of the result are wrong.", "返り値のキーが違います。"),
    "shape": Text("the shape of the result is wrong.", "返り値の形状が違います。"),
    "dtype": Text("the dtype of the result is wrong.", "返り値の dtype が違います。"),
    "values": Text("the values are wrong.", "値が違います。"),
    "plain": Text("the answer is wrong.", "答えが違います。"),
}

REMARKS: dict[str, Text] = {
    "changed": Text(
        "{names} is changed in place: the caller's tensor is altered. It costs no marks here.",
        "{names} をその場で書き換えています。呼び出し側のテンソルも変わってしまいます (減点はありません)。",
    ),
    "elsewhere": Text(
        "the result is on {devices}, not on the inputs' device.",
        "返り値が入力とは別のデバイス ({devices}) にあります。",
    ),
    "device": Text(
        "on a GPU this would stop: a tensor is made without a device. Use device=x.device. It costs no marks here.",
        "GPU 上では止まります。デバイスを指定せずにテンソルを作っています。device=x.device を使いましょう"
        " (減点はありません)。",
    ),
    "carried": Text(
        "Judged with a right {names} in place of yours: an error made there costs nothing here.",
        "{names} は正しいものに置き換えて採点しました。そこでの誤りは、この問題では減点されません。",
    ),
}

VERDICT: dict[str, Text] = {
    "right": Text("right", "正解"),
    "partly": Text("partly right", "部分的に正解"),
    "wrong": Text("wrong", "不正解"),
    "not_attempted": Text("not attempted yet", "未解答"),
    "missing": Text("no answer is found", "解答が見つかりません"),
    "recorded": Text("answer recorded; it is marked after you submit", "解答を記録しました (採点は提出後です)"),
    "cases": Text("{passed} of {total} cases right", "{total} 件中 {passed} 件正解"),
    "points": Text("{score:g} of {points:g} points", "{points:g} 点中 {score:g} 点"),
    "mistake": Text("This is what you get when:", "次の誤りがあると、この結果になります。"),
    "hint": Text("Hint:", "ヒント:"),
    "hidden": Text("hidden", "非公開"),
    "expected": Text("expected", "正解"),
    "got": Text("yours", "あなたの値"),
    "difference": Text("difference", "差"),
    "part": Text("result {index}: ", "返り値 {index}: "),
    "key": Text("{key!r}: ", "{key!r}: "),
    "gradient": Text("gradient of {name}: ", "{name} の勾配: "),
    "after": Text("{name} after the call: ", "呼び出し後の {name}: "),
    "tensor": Text("a tensor", "テンソル"),
}

CHECK: dict[str, Text] = {
    "missing_file": Text(
        "{file} is not here: it came with this notebook; put it back beside it, or fetch the assignment again.",
        "{file} が見つかりません。ノートブックと一緒に配布されたファイルです。"
        "同じフォルダに戻すか、課題を取得し直してください。",
    ),
    "damaged_file": Text(
        "{file} is damaged or cut short: fetch the assignment again and copy that file over.",
        "{file} が壊れているか、途中で切れています。課題を取得し直して、このファイルを上書きしてください。",
    ),
    "other_version": Text(
        "{file} was made for another version of autograder (format {theirs}, this one reads {ours}): run"
        " `pip install --upgrade transformer-autograder`, or fetch the assignment again.",
        "{file} は別のバージョンの autograder 用です (形式 {theirs}、こちらは {ours})。"
        "`pip install --upgrade transformer-autograder` を実行するか、課題を取得し直してください。",
    ),
    "not_started": Text(
        "Run the notebook's first code cell: it calls start(...), which reads the checks.",
        "ノートブックの最初のコードセルを実行してください。start(...) がチェックを読み込みます。",
    ),
    "unknown": Text(
        "{name} is not an exercise of this notebook; its exercises are: {known}.",
        "{name} はこのノートブックの問題ではありません。問題は次のとおりです: {known}",
    ),
    "nothing_named": Text(
        "check() was called without an answer: name the function, such as check({name}).",
        "check() に解答が渡されていません。check({name}) のように関数名を渡してください。",
    ),
    "no_language": Text(
        "start(..., language={found}): choose one of {choices}; {used} is used now.",
        "start(..., language={found})：{choices} から選んでください。今回は {used} で表示します。",
    ),
    "run_first": Text(
        "{name} is not defined yet: run the cell above that defines it, then this one again.",
        "{name} がまだ定義されていません。上の定義セルを実行してから、このセルをもう一度実行してください。",
    ),
    "exam_outside": Text(
        "{name} is judged outside the notebook by `nbgrader autograde`; this notebook was run without it"
        " (c.Autograde.autograde_preprocessors in nbgrader_config.py), so no marks are given.",
        "{name} はノートブックの外で `nbgrader autograde` が採点します。今回はその設定"
        " (nbgrader_config.py の c.Autograde.autograde_preprocessors) なしで実行されたため、点は付きません。",
    ),
}

PROGRESS: dict[str, Text] = {
    "title": Text("Your progress", "ここまでの進み具合"),
    "exercises": Text("Exercises", "問題"),
    "objectives": Text("Learning objectives", "学習目標"),
    "counted": Text("{done} of {total} exercises right", "{total} 問中 {done} 問正解"),
    "recorded": Text(", answers recorded: {recorded}", "、解答を記録済み {recorded} 問"),
    "met": Text("met", "達成"),
    "open": Text("open", "これから"),
}

SUBMISSION: dict[str, Text] = {
    "no_file": Text(
        "There is no file of this name that could be read: hand in the notebook again.",
        "この名前のファイルを読めませんでした。ノートブックをもう一度提出してください。",
    ),
    "encoding": Text(
        "This file is not text in UTF-8, so it could not be read as a notebook: hand it in again, saved by JupyterLab.",
        "このファイルは UTF-8 のテキストではないため、ノートブックとして読めませんでした。"
        "JupyterLab で保存し直して再提出してください。",
    ),
    "not_json": Text(
        "This file is not JSON ({at}), so it could not be read as a notebook: hand it in again, saved by JupyterLab.",
        "このファイルは JSON ではないため ({at})、ノートブックとして読めませんでした。"
        "JupyterLab で保存し直して再提出してください。",
    ),
    "too_deep": Text(
        "This file is nested too deeply to be read as a notebook: hand it in again, saved by JupyterLab.",
        "このファイルは入れ子が深すぎるため、ノートブックとして読めませんでした。"
        "JupyterLab で保存し直して再提出してください。",
    ),
    "not_a_notebook": Text(
        "This file is JSON, but not a notebook: hand in the .ipynb file that you were given.",
        "このファイルは JSON ですがノートブックではありません。配布された .ipynb ファイルを提出してください。",
    ),
    "other_format": Text(
        "This notebook has format {version}; format 4 is needed: open it in JupyterLab and save it again.",
        "このノートブックの形式は {version} です (必要なのは形式 4)。JupyterLab で開いて保存し直してください。",
    ),
    "no_cells": Text(
        "This notebook has no list of cells: hand it in again, saved by JupyterLab.",
        "このノートブックにはセルがありません。JupyterLab で保存し直して再提出してください。",
    ),
    "dropped_cells": Text(
        "{count} damaged cells of this notebook could not be read and were left out.",
        "このノートブックの壊れたセル {count} 個は読めなかったため、除外しました。",
    ),
}

# what the grader leaves in a cell in place of its outputs
GRADING: dict[str, Text] = {
    "kernel_ended": Text(
        "This cell ended the notebook's process; the rest was graded without it.",
        "このセルでノートブックのプロセスが終了したため、このセルを除いて採点しました。",
    ),
    "late": Text(
        "Not run for grading: the cells before it took too long.",
        "これより前のセルの実行に時間がかかりすぎたため、採点では実行していません。",
    ),
    "too_much": Text("[output above {most} characters]", "[出力のうち {most} 文字を超えた部分は省略しました]"),
    "demonstration": Text(
        "Not run for grading: this cell only shows something.",
        "採点では実行していません (説明用のセルです)。",
    ),
}
