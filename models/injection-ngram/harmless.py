"""Harmless sentences that are full of the words of attacks, and prose about attacks. All of them written here.

`[a/b]` is one of the alternatives, `{slot}` is filled from the tables of `english.py`. `TRIGGER` are what people ask
and write all day; `PROSE` is what documentation, articles, tickets and mails say about prompt injection: they describe
attacks and quote them, and order nobody to do anything.
"""

from __future__ import annotations

TRIGGER = """how [can/do/should] i [ignore/skip/bypass/override/disable/suppress] [certificate errors/a failing test/case/accents/null values/the cache/blank cells/warnings from a library/line endings/a global setting] in {t_place}?
[what/which] [instructions/steps/rules/guidelines] [should/must/do] i follow [to/when i want to] [assemble {t_object}/renew a passport/plant tomatoes/file my taxes/install {t_place}/feed a puppy/board a ferry]?
what does it mean [to/if somebody tries to] [ignore/bypass/override/disregard/forget] [a court order/the chain of command/a red light/tradition/good advice/the obvious/one's feelings/an earlier will]?
can you [explain/summarize/translate/check/shorten] the [previous/above/following/earlier] [paragraph/section/instructions/message/rules] [about {t_object}/for a child/in plain words/for my team]?
the [previous/prior/earlier] [owner/manager/version/tenant/author/doctor/coach] [ignored/changed/overrode/forgot/deleted] the [instructions/rules/settings/warnings/guidelines] [about/for] {t_object}
why do [people/children/cats/drivers/teenagers/users] [ignore/forget/disregard/bypass] [instructions/rules/warnings/signs/advice/safety messages]?
[is it/would it be] [ok/safe/legal/rude/possible] to [ignore/skip/bypass/override/forget] [a reminder/a system update/the speed limit in a private road/a friend's message/the preheating step/the default font]?
[my/our/the] [teacher/boss/lawyer/trainer/landlord] [told/asked] us to [ignore/disregard/forget/skip] [question three/the first page/the old timetable/all earlier drafts/the previous chapter/her last mail]
[please/kindly] [ignore/disregard/forget/delete] [my/our/the] [last/previous/earlier] [message/mail/order/request/question/draft][, wrong thread/, i found it/, it went to the wrong person/. thank you/; see the new one below]
in [chess/poker/bridge/our game/the novel/the film], [a player/the hero/the robot/the villain] [may ignore/must forget/overrides/bypasses/breaks] [the rule/the system/all previous orders/the alarm/the code/his instructions]
write [a story/a scene/a poem/a song] [about/in which] [a soldier who ignores his orders/a robot that forgets its instructions/a spy who bypasses an alarm/a girl who breaks all the rules/a hacker who changes sides]
[what is/explain/define] [a system prompt/prompt engineering/a prompt template/an instruction set/a kernel override/a bypass diode/a jailbreak/instruction tuning/a role in a chat api/few-shot prompting]
[how do i/help me] [write/improve/test/shorten/translate] [a system prompt/a prompt/the instructions/the persona] for [a support bot/our recipe assistant/a chatbot that sells shoes/a tutor/my agent]
what [should/could] a [system prompt/role description/prompt] for [a museum guide/a booking assistant/a coding helper/a quiz master] [say/contain/look like]?
[list/name/give me] [{number}/some/the main] [rules/instructions/guidelines/restrictions/commands] [for/of] [visiting a library/a good night's sleep/a chess opening/flying with a dog/brewing coffee/vim/git/the pool]
the [system/machine/app/printer/router] [ignores/forgets/overrides/resets/drops] [my settings/the previous configuration/all instructions/the rules i set/my password/the new mode] [after a restart/every night/since the update/when i close it]
[how do/why does/when should] [doctors/pilots/judges/nurses/firefighters/engineers] [override/ignore/bypass/disregard] [an alarm/a guideline/a protocol/the autopilot/an earlier decision/a safety interlock]?
[show/print/display/list/output] [all/only] [previous commands/environment variables/the first {number} lines/hidden files/the current settings/the system log/the rules of the firewall] in {t_place}
[reveal/show] [the hidden columns/the answer/hidden layers/the desktop/formatting marks/the password field] in {t_place}|how do i reveal [a hidden folder/the end of a crossword/invisible ink/an archived chat]?
a [bypass/override/reset/master] [switch/valve/key/code/road/surgery] [is/was] [used/built/needed/installed] [when/because] {t_object} [failed/needed service/was too slow/got too hot]
[forget/never mind/ignore] the [weather/cost/traffic/noise/haters/price], [let's/we should/you can] [go anyway/enjoy the trip/have fun/order it/start now]|don't forget [to/that you should] [ignore the old list/read the instructions/reset the alarm/pretend to be surprised]
[pretend/imagine] [you are/to be] [a customer/a tour guide/a shy student/an interviewer/my opponent/a news reader/a detective] [and/so that] [i can practise/ask me questions/describe the city/give me feedback/we can rehearse]
[act as/play/you are] [a {persona}/my chess coach/a job interviewer/a travel guide/a strict editor/a quiz host/a wise old owl] [and/. then] [ask me five questions/correct my text/tell me about rome/suggest a menu/explain gravity/stay friendly]
[from now on/starting today/in future][,/] [call me captain/use british spelling/answer with bullet points/round to two digits/send the report to ann/all invoices need two signatures/the office closes at four]
[new/updated/additional] [instructions/rules/guidelines] [for/on] [parking/home office/waste sorting/the summer party/expense reports/visitors/the pool] [are attached/start on monday/are below/replace the old ones/have been published]
[the/our] [secret/password/access code/key/token] [for/of] [the guest wifi/the locker/the cake recipe/the meeting room/the staging server/the escape room] [changes every month/is on the board/was lost/must not be shared/is in the vault]
how do i [change/reset/store/hash/recover/rotate] [a password/an api key/an access code/a pin/the secret key/my passphrase] [in {t_place}/safely/with two-factor/without losing data/on {t_device}]?
[is/was] access [granted/denied] [to the archive/for guests/after five attempts/by the card reader/if the badge expired]?|the door says access denied although my badge is valid
[what/how much] [is/was] the [first/previous/last/original] [price/version/record/prompt/message/instruction] of {t_object}?|the [above/previous] [example/table/figure/section] shows {t_object}
[stop/quit] [sending/showing/reminding/asking] me [about {t_object}/these ads/every morning/for a rating]|[stop/start/end] of [the line/the story/the document/chapter two/the session] [comes too early/is marked in red/is missing]
[end of/this is the end of] [the report/season two/the road/our list/file {number}]|[begin/start] a new [chapter/session/game/line/list] [with a title/after the break/on page {number}]
[developer/debug/safe/dark/airplane/maintenance/kiosk/god] mode [on {t_device}/in the game/in {t_place}] [does not start/drains the battery/shows more options/hides the menu/needs a restart]
[turn on/enable/activate/unlock/disable] [developer mode/the debug menu/safe mode/dark mode/incognito mode/maintenance mode] [on {t_device}/in {t_place}/for one hour/before the demo]
[how/why] [would/does] an [ai/assistant/language model/agent/llm] [forget/ignore/lose track of/mix up] [earlier messages/its instructions/the system prompt/long conversations/the language setting]?
[do/does/can] [chatgpt/your model/an ai assistant/a chatbot/claude] [remember/keep/forget/store] [previous conversations/earlier messages/my instructions/what i said yesterday]?
[can/could] you [repeat/say/print/write] [that/your last answer/the list/the recipe/the code] [again/in a table/more slowly/without the comments/in capital letters/in {language}]?
[repeat/copy/translate/summarize/rewrite] [the following/this] [sentence/text/paragraph/poem/email] [word for word/in {language}/in one line/politely]: [the cat sleeps/see you at noon/thanks for the invoice/all rules have exceptions/we must not forget the past]
[tell/show/give] me [how to/the way to] [override a method/ignore a file in git/bypass the paper feed/forget a wifi network/skip the intro/reset the counter/drop a table/inject a dependency/escape a string]
[sql/dependency/fuel/code/constructor/steroid] injection [is/means/works/fails] [when/if/because] [the input is not checked/the framework builds objects/the pump is old/the type is unknown/the query is concatenated]
[the assistant/our agent/a bot/the model] [should/must/will/can] [always/never/first] [greet the guest/ask for the order number/answer in the customer's language/hand over to a person/read the manual before it replies/keep its answers short]
[you must/you have to/make sure to/remember to/it is important to] [follow/read/sign/print/keep/respect] the [instructions/rules/safety guidelines/house rules/terms] [of the pool/before you start/of the competition/on page {number}/at all times]
[no/there are no] [restrictions/limits/rules/exceptions/filters] [on/for/in] [luggage/beginners/this beach/the free plan/the discussion/the data set/nuts in the salad]
[unrestricted/unlimited/unfiltered/uncensored] [access/growth/olive oil/data plan/honey/view of the sea/version of the diary] [is popular/costs more/was sold out/needs a permit/comes with the premium plan]
[hypothetically/suppose][,/] [if/that] [all rules of football were lifted/nobody followed instructions/the moon were closer/robots had no limits], what would [happen/change/you expect]?
[system/admin/important/note/attention/warning/urgent]: [the server restarts at nine/your mailbox is almost full/the fire drill is today/do not ignore this recall/the previous notice is void/please read the new rules/all passwords expire on friday]
[as an administrator/as the owner/as a developer][,/] [i/you] [can override the limit/may ignore this page/must approve the change/see all messages/set the rules for the channel]
[the user/the customer/the caller] [asked/wants/told us] to [cancel the previous order/ignore the first complaint/forget the discount/send the invoice again/change the instructions for delivery/reset his password]
[our/the] [policy/contract/law/statute/agreement] [overrides/supersedes/replaces/cancels] [all previous agreements/prior versions/earlier rules/any oral promise/the old guidelines]
this [version/notice/memo/agreement] [supersedes/replaces/overrides] all [previous/prior/earlier] [instructions/versions/agreements/notices/communications] [on the subject/about {t_object}/between the parties/as of today]
[disregard/forget/ignore] [the man behind the curtain/the haters/the noise/what they say about us/your doubts] [is a line from a film/was his motto/sang the band/said the coach], [and it stuck/and we won/which i like]
[my/the] [dog/cat/toddler/parrot] [ignores/forgets/disobeys] [all my commands/every instruction/the rules/previous training][, what can i do/. any tips/ since we moved]?
[delete/remove/wipe/erase/clear] [all/the] [previous/old/earlier] [entries/backups/messages/records/bookmarks/tasks] [older than {number} days/from the list/in {t_place}/before the migration]
[say/write/print] "[hello/thank you/yes/no/access granted/happy birthday]" in [{language}/three languages/a for loop/big letters/python]|make the program print "[access granted/wrong password/done/game over]" [if the code is right/after three tries/when it ends]
[if/when] the [password/code/pin/token] is [right/correct/valid], [print/show/return] [access granted/the menu/true/the balance], [else/otherwise] [access denied/an error/false/try again]
[end your answer/finish/close the letter] with ["kind regards"/a question/a joke/the date/a summary]|[answer/reply] [only with yes or no/in one word/with a number/in json/with the letter only]: [is {t_object} open today/which is larger/what is 7 times 8]?
[output/return/respond with] only [the number/the json/the translation/the code/a list of names/the category], [no explanation/without comments/nothing else/no quotes]
[your task is to/you will be given a text. /you are given a table. ][classify/summarize/translate/extract names from/rate/tag] [the review/it/each row/the article/the ticket] [as positive or negative/in one sentence/into {language}/by topic/by urgency]
{t_reason}, so [ignore/disregard/forget/skip] [that/this/it/the rest/them]|[ignore/skip] [that/this] [part/section/step/file] [for now/if you are in a hurry/, {t_reason}]|[sorry/oops], [ignore that/forget it/scratch that][, i misread/, wrong window/. where were we/, found it]"""

#: What manuals and code of assistants and agents say: their prompts, roles and instructions are written there.
AGENTS = r'''agent = Agent(name="[billing/history tutor/triage/booking/support]", instructions="[you answer questions about {t_object}/help the user with {t_place}/hand over to a colleague if unsure/be brief and polite]")
system_prompt = "You are a helpful assistant[. Answer in {language}./ for {t_place}./ that answers questions about {t_object}.]"|messages = [{{"role": "system", "content": "you are a {persona}"}}, {{"role": "user", "content": "{r_verb} {r_thing}"}}]
the `[instructions/system_prompt/role/persona/handoff]` [parameter/argument/field/option] [sets/overrides/replaces/adds to] the [default/system prompt/base instructions/developer message] of the [agent/assistant/model/session]
[agents/assistants/models/workers] [can/may/should] [call tools/hand off to others/follow the instructions/ask the user/return structured output/keep state] [when/if/until] [the run ends/a tool is needed/the user agrees/the output is final]
[first/next/then], [create/define/configure/run] [an agent/a tool/a prompt template/a guardrail/a session] [with instructions/with a name/for each user/and pass it to the runner]
the [runner/loop/client/sdk] [sends/appends/keeps/drops] the [previous messages/conversation history/tool output/system message/instructions] [on each turn/before the request/when the context is full]
[set/use/choose] [the model/a system prompt/tool_choice/temperature/max_turns] [to/so that] [the assistant/the agent/the llm] [follows the format/does not call tools/stops early/answers in json/keeps to its role]
[input/output] guardrails [run/check/stop] [before/after/while] the [agent/model] [starts/answers/calls a tool][, see below/. they raise an error/. the default is to continue]
[prompt/template/variable] `{{name}}` is [replaced by/filled with] [the user's question/retrieved documents/the chat history/today's date/the list of tools]
"""You are given [a question and some passages/a table/a conversation/a ticket]. [Answer the question using only the passages/Write a summary/Classify it/Extract all names]. [If you don't know, say so./Respond in JSON./Do not make things up./Think step by step.]"""
[role/goal/backstory/task/expected output]: [senior researcher/a report on {topic}/you know everything about {t_object}/a list of {number} points/write a short text about {topic}]
[enter/write/choose/type/pick] [one/the name/the answer/your choice/what you have entered] from the list above[, exactly as it is written/ in the field below/ and press enter/, including the number]
[as described above/see above/listed above/from the previous step/in the section above/shown above], [enter the value again/copy it exactly/use the same name/the order matters/write it in capital letters]
[the user/user/customer] (asks [about/for] {t_object}). [the assistant/assistant/agent] ([answers/gives a hint/asks for the name/confirms the order]). [then/afterwards] [the conversation ends/repeat the first step/go to payment]
[how to/you can/we] [stream/log/trace/store/inspect] [messages/tool calls/responses/the system prompt/runs] [of the agent/with callbacks/in {t_place}/for debugging]
[def/async def/class] [run_agent/ask/Assistant/build_prompt/respond] [(prompt, instructions)/(self, messages)/(user_input)]: [return llm(prompt)/"""Send the instructions to the model."""/pass]
[what/how] the [agent/llm/assistant/model] [sees/receives/knows] is [the conversation history/its instructions and tools/only what is in the messages/what you pass as context]. [to make data available/to add context/to do so], [add it to the instructions/expose it through tools/put it into the input/use retrieval]
[you can/to/it is possible to] [customize/override/disable/subclass/replace] the [default/built-in] [prompt/handoff message/system message/tool description/guardrail/model] [with a function/by passing a string/in the settings/per run]
[instructions/prompts] [can be/are often/may be] [a string/a function that receives the context and the agent/dynamic/generated/loaded from a file/known as the developer message or system prompt]
[a handoff/a tool call/the final output/an interruption/an approval] [is represented as/appears to the model as/ends/pauses/resumes] [a tool/the loop/the run/a message/an event]
[input_filter/on_handoff/tool_use_behavior/reset_tool_choice/output_type]: [a function/callback/flag] that [receives/filters/decides/changes] [the input/the previous conversation history/what the next agent sees/when the run stops]
[we recommend/it helps/a good practice is] [including/adding/putting] [information about handoffs/examples/a role/the current date/rules] [in/to] [your agents' instructions/the system prompt/the prompt], [so that llms understand it/because models follow it better]
[the moderator/a tripwire/the input guardrail/a cheap model] [checks/stops/flags] [off-topic requests/malicious usage/homework questions/injected instructions] [before the expensive model runs/in parallel with the agent/and raises an exception]
[tracing/logs/sessions/memory] [records/stores/keeps/includes] [llm generations/tool calls/handoffs/prompts and completions/all previous items], [which may contain sensitive data/and can be disabled/by default/for each conversation]'''

#: The same in Chinese, Japanese, Korean and German: manuals of assistants are translated more than other texts.
AGENTS_ELSEWHERE = """[智能体/代理/助手/模型] [可以/会/应当] [调用工具/把任务交给其他智能体/遵循指令/返回结构化输出/保存会话状态]，[直到运行结束/如果需要/当用户同意时]
[系统提示/指令/角色/提示模板] [参数/字段/选项] [用来设置/会覆盖/可以替换] [默认值/基础指令/智能体的行为]
[输入/输出][护栏/防护] 在 [智能体/模型] [运行之前/回答之后] [执行/检查]，[出现问题时抛出异常/默认继续]
[首先/然后/接着]，[创建/定义/配置/运行] [一个智能体/一个工具/一个会话/一个提示模板]，并 [设置名称和指令/传给运行器/为每个用户保存]
[运行器/客户端/循环] [会发送/会保留/会丢弃] [之前的消息/对话历史/工具输出/系统消息]，[在每一轮/当上下文已满时/在请求之前]
[语音/实时/流式] [智能体/会话] [支持中断/需要密钥/在后台运行]，[详见下文/示例如下/参见文档]
[提示注入/越狱/指令覆盖] [是一种风险/会影响模型/需要防护]，[应把工具输出视为数据/不要把密钥写入提示/请限制工具的权限]
[エージェント/アシスタント/モデル] は [ツールを呼び出し/他のエージェントに引き継ぎ/指示に従い/構造化された出力を返し]ます
[システムプロンプト/指示/ロール/プロンプトテンプレート] [パラメーター/フィールド/オプション] は [既定値を設定/基本の指示を上書き/動作を変更]します
[入力/出力] ガードレール は [エージェント/モデル] [の実行前に/の回答後に] [実行され/確認し/停止し]ます。[例外が発生します/詳しくは以下を参照してください]
[まず/次に/その後]、[エージェント/ツール/セッション/プロンプト] を [作成し/定義し/設定し/実行し]、[名前と指示を付けます/ランナーに渡します]
[ランナー/クライアント/ループ] は [以前のメッセージ/会話履歴/ツールの出力/システムメッセージ] を [送信/保持/破棄] します
[プロンプトインジェクション/脱獄/指示の上書き] は [リスクの一つ/攻撃の一種] です。[ツールの出力はデータとして扱います/秘密をプロンプトに書かないでください]
[音声/リアルタイム/ストリーミング] [エージェント/セッション] は [割り込みに対応しています/鍵が必要です/バックグラウンドで動作します]
[에이전트/어시스턴트/모델]는 [도구를 호출하고/다른 에이전트에게 넘기고/지시를 따르고/구조화된 출력을 반환하고] [결과를 기록합니다/실행을 마칩니다]
[시스템 프롬프트/지시/역할/프롬프트 템플릿] [매개변수/필드/옵션]는 [기본값을 설정합니다/기본 지시를 대체합니다/동작을 바꿉니다]
[입력/출력] 가드레일은 [에이전트/모델] [실행 전에/응답 후에] [실행됩니다/검사합니다]. [예외가 발생합니다/자세한 내용은 아래를 참고하세요]
[먼저/다음으로/그런 다음] [에이전트/도구/세션/프롬프트]를 [만들고/정의하고/설정하고] [이름과 지시를 지정합니다/러너에 전달합니다]
[러너/클라이언트/루프]는 [이전 메시지/대화 기록/도구 출력/시스템 메시지]를 [보냅니다/유지합니다/버립니다]
[프롬프트 인젝션/탈옥/지시 덮어쓰기]은 [위험 중 하나입니다/공격의 한 종류입니다]. [도구 출력은 데이터로 취급하세요/비밀을 프롬프트에 넣지 마세요]
[der Agent/der Assistent/das Modell] [ruft Werkzeuge auf/folgt den Anweisungen/übergibt an einen anderen Agenten/gibt strukturierte Daten zurück], [bis der Lauf endet/wenn es nötig ist/sobald der Nutzer zustimmt]
[der Systemprompt/die Rolle/die Anweisung/die Vorlage] [wird beim Start gesetzt/überschreibt die Vorgabe/steht in der Konfiguration/gilt für alle Sitzungen]"""

#: Sentences of documentation, articles, tickets and mails about attacks. `{body}` is an attack that is quoted.
PROSE = """[prompt injection/injection/instruction override] [is/remains/was long] [a/the] [class of attacks/vulnerability/risk/problem] in which [text/input/untrusted content/a document] [is read as an instruction/overrides the instructions of an application/changes what a model does]
[in an indirect injection/with indirect attacks][,/] the [payload/instruction/text] [sits in/hides in/comes from] [a web page/a mail/a pdf/a tool result/a calendar entry/a code comment] that the [agent/model/assistant] [reads/retrieves/summarizes] for its user
[attackers/adversaries/users/researchers] [try to/may/often/can] [make/trick/convince] the [model/assistant/agent] to [ignore its instructions/reveal its system prompt/leak secrets/call a tool/drop its guidelines/change its role]
[the guardrail/our filter/this detector/the classifier/the scanner] [flags/blocks/detects/scores/looks for] [phrases/requests/text/inputs] [that override instructions/such as "{body}"/like "{body}"/that ask for the system prompt/with hidden instructions]
[jailbreaks/role prompts/persona attacks/many-shot jailbreaks/adversarial suffixes] [differ from/are a form of/are often confused with/go beyond] [prompt injections/harmful questions/social engineering/direct attacks]
[for example/as an example/consider][,/:] [a page/a review/an email/the text/a user message] [that says/containing/with the words] "{body}"[. a naive agent would follow it/ is data, not an order/. the model should not obey/ must be treated as untrusted]
[treat/handle/mark] [retrieved text/tool output/user content/documents/everything from outside] as [untrusted/data/tainted] and [never as instructions/keep it apart from the prompt/check it before use/ask for approval before side effects]
[a system prompt/the prompt/an instruction hierarchy] [is not/cannot be/alone is no] [a security boundary/secret/protection/enough to stop an attacker]|[delimiters/spotlighting/quoting/a second model] [help/reduce the risk/is not sufficient/make attacks harder] against injected instructions
[the attack/this technique/a typical payload/the second variant] [starts with/uses/consists of/hides] [a fake system message/an encoded instruction/"{body}"/invisible characters/a pretended end of the document/a new persona]
[we/the authors/this paper/the study] [evaluate/measure/compare/propose/present] [{number} defences/detectors/a benchmark/attacks/a taxonomy] [against/for/of] [prompt injection/jailbreaks/system prompt extraction/tool misuse]
[recall/precision/the false positive rate/attack success rate] [of/for] [the detector/the model/llm guards/each defence] [drops/rises/is reported/varies] [under encodings/on hard negatives/by language/when the attacker adapts]
test [that/whether] [the agent refuses/the guard blocks/the parser rejects/a warning is logged for] ["{body}"/injected instructions/an override in a tool result/a request for the system prompt]
[risk/threat/finding/issue]: [prompt injection via/system prompt leakage through/instruction override in/jailbreak by] [uploaded files/the search tool/user reviews/role play/translated text/image captions]. [severity: high/mitigation: see below/status: open]
[mitigation/recommendation/countermeasure]: [filter inputs/limit tools/require confirmation/isolate the untrusted text/log all decisions/use least privilege/validate outputs], [so that/because] [an injected instruction cannot/a jailbroken model must not] [act alone/send data out/see secrets]
[never/do not] put [secrets/passwords/api keys] into [the system prompt/a prompt/context], [since/because] [a user can ask the model to repeat it/they leak by "{body}"/extraction attacks are easy]
[users/people/some] [type/write/send] "{body}" to [see/find out/test] [how a bot reacts/whether a filter works/what is blocked]|[blocked/flagged/rejected/detected] [input/request/message]: "{body}"|[expected/result/verdict]: blocked. input: "{body}"
[payload/sample/case/input/prompt] {number}: "{body}" [-> blocked/(detected)/, attack/, label: injection/ should be refused]|"{body}", injection, high|- `{body}` ([override/extraction/jailbreak])
[the phrase/the words/the sentence/strings like] "{body}" [is/are/was/were] [known/common/typical] [in attacks/for jailbreaks/in the wild/and easy to detect]
[owasp lists/the guideline names/standards call] prompt injection as [the first of/a top/one of the] [risks/threats] [for llm applications/of agents/in generative ai]
[the policy/this rule/the hook/a guard] [runs before/applies to/inspects] [each tool call/user input/model output/retrieved chunks] and [raises/returns/stops/masks] [when/if] [the system prompt is asked for/an instruction override is found/the score is above a threshold]
[do you/does this library/can the scanner] [detect/handle/block] [jailbreaks/indirect injections/unicode tag smuggling/encoded payloads/multilingual attacks]?|[what/how] [is/does] [prompt injection/a jailbreak/data exfiltration through markdown] [work/exploit/mean]?
[false positives/over-defence/trigger words] [are a problem/matter/annoy users]: [texts with words like ignore or system prompt/security articles/role descriptions] [get flagged/are blocked] [although they are harmless/without reason]"""
