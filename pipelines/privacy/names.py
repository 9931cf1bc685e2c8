"""How names of persons are told from other words: a column of names, and a name inside a sentence.

Belongs here: surnames, the words that stand around names, and the SQL tests made of them. Does not belong here: numbers
(`numbers`), which columns are searched and what is counted (`scanner`).

A name in a sentence is found where something says that a name stands there:

* after a word for a role (申请人、当事人 ...) or by which people speak of themselves (我叫、我是、本人), up to a sign,
  the end or a word that goes on about it;
* before a title (同志、先生、女士 ...), (男，), 等三人; before what somebody does for others (代为、由……负责) or has
  (的房屋、的电话 ...);
* after a role with a middle dot in it (阿依古丽·买买提), made of given names of peoples without surnames (扎西卓玛), or
  in pinyin (ZHANG WEI, Wang Xiaoming);
* in a list: two names beside each other between 、 or joined by 和.

A name by itself, 张某 and 张先生 are not found: the first looks like any other words, the others are how names are
left out. Common words that begin like a name (陈述、应当、方可) are not names; nor what ends like a place or a body.
"""

from collections.abc import Mapping, Sequence

from pipelines.codecs.sql import literal

_COMPOUND = (
    "欧阳|司马|诸葛|上官|夏侯|司徒|东方|皇甫|尉迟|公孙|慕容|令狐|"
    "宇文|长孙|端木|轩辕|独孤|南宫|西门|百里|呼延|澹台|太史|申屠"
)
# Surnames that mostly begin other words (应、和、向、单、全 ...) are left out: who has one is not found in a sentence.
# Common surnames that hardly begin another word.
_SAFE = (
    "王李张刘陈杨赵吴周徐孙朱胡郭何林罗郑梁谢宋唐韩冯邓曹彭曾肖蔡潘袁董余苏叶吕魏蒋杜丁沈姜范傅钟卢汪戴崔廖姚邹熊陆郝邵孟秦薛侯"
    "雷龚邱尹闫段钱汤黎贺赖葛程许夏"
)
_OTHERS = (
    "黄高马于田任姚金石贾韦付方白江史陶顾毛万严覃武莫孔常温康施文牛樊邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞柳甘祝包宁尚"
    "符舒阮柯纪梅童凌毕季裴霍涂成苗谷盛曲翁冉骆蓝游辛靳柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳穆司卓古吉缪简项芦麦褚娄窦戚岑景"
    "党宫费卜冷晏席卫米柏宗瞿桂佟臧闵苟邬边卞姬师仇栾隋商刁沙荣巫寇桑郎甄丛仲虞敖巩佘池苑迟邝龙束台储"
)
_HAN = r"\x{3400}-\x{9FFF}\x{20000}-\x{3FFFF}"
# What given names usually end in, and words seldom.
_USUAL = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂芬燕玲辉华红梅建国志玉鹏飞斌波宇浩凯健俊帆雪荣琴云珍凤莉萍颖婷倩丹萌璐琳琪雯"
    "鑫峰亮阳博晨旭瑞轩涵怡欣妍梓萱诺佳瑶悦彤馨语依思汐沐晗梦睿铭泽辰皓昊嘉奕恒熙润航豪威毅坤楠森龙虎彪彬武文德贵福祥寿喜富根柱生"
    "春菊莲香翠仙娥妹蓉蕾薇茜菲芝芹芸洁晶媛婉娇妮惠慧淑贞贤良忠义友仁胜庆松兵宏宝树才祖学昌伦雄刚悍子金发家可珍佑三四五六七八九"
)
_PLACE_OR_THING = (
    "[省市区县镇乡村组街道路巷号院校所局厅处科室部委会社店场站厂司队班级类型族人员民户数率比量值费年月日元件次个项业产品以上下"
    "内外中河湖山桥塘岗冲铺集园城门口]$"
)
# The same at the end of a name that stands after a role; names may well end in 月 or 山.
_BODY = "[省市区县镇乡村组街道路巷号院校所局厅处科室部委会社店场站厂司队班级类族人员民户数率费]$"
_ROLES = (
    "申请人|当事人|法定代表人|法人代表|负责人|联系人|经办人|被处罚人|被执行人|被投诉人|投诉人|举报人|诉求人|来电人|反映人|委托人|"
    "代理人|监护人|承租人|出租人|承包人|权利人|投资人|经营者|驾驶员|司机|嫌疑人|死者|伤者|患者|病人|户主|业主|居民|村民|市民|群众|"
    "学生|职工|员工|原告|被告|第三人|店主|房东|老板|妻子|丈夫|儿子|女儿|父亲|母亲|姓名|收件人|收货人|寄件人|签收人|领取人|申报人|股东|合伙人|实际控制人"
)
# What goes on after a name. No name of a person ends before another character unless it is no Han character.
_GOES_ON = (
    "因于在的和与及同向从对将被未已不是为有系到来称说自之经以就并"
    "也均曾都无家户提反申投要认违交购驾住租受请求持由共等拥擅涉拒"
)
# Words that begin like a name: surname and the character after it.
_WORDS = (
    "应[当该在按于补依向自将予有急届邀收付付用得履承]|向[我市本其当县区社有来上下前后省国各相他她]|于[当本上今次同其是]|"
    "和[其相当谐平解睦他她]|时[间候任常已限代有效段期]|尚[未有需无不在]|方[提可能便式案面才]|从[事而业未中此前]|连[续同带接锁]|"
    "关[于系闭停联注键节门]|单[位独项元方一据]|全[部体额面程市县区员家日]|成[才人立为员功年果本绩都]|安[踏居宁康心全装排置徽庆徽居保慰]|"
    "包[括含装工庄裹]|路[过面段灯边口]|车[辆主间库位子间牌]|党[员委组支]|费[用时]|宫[颈]|查[明看封处获询验扣实]|迟[延到迟]|"
    "明[知确显细天年]|商[品户业贸标务店铺行]|师[傅范生资]|景[区观点]|席[位卡]|卫[生计健星]|米[饭面粉]|宗[地教旨]|简[单易历称化]|"
    "项[目下]|边[界境远]|申[请报诉办领购辩明]|曾[经在因于被有多向]|任[何职命免意务期教]|何[时种人地处况以等方]|许[昌可诺多]|"
    "解[除决释放散聘约]|管[理辖道控网]|房[屋产地主租东款间源管]|付[款清费息出]|程[序度]|严[重格禁肃惩厉控]|施[工行救以用肥]|"
    "高[烧三中考压度于额新价龄速中血温层级空标校危]|金[额融属寨安银]|石[材油料膏头]|江[苏西淮北南]|武[装汉器术警]|文[学明件化书物明本字旅]|"
    "古[迹城代]|吉[林]|司[法机]|游[客泳戏玩览]|毕[业]|符[合]|康[复]|易[燃爆发于制]|左[右侧边]|纪[录律委念]|祝[贺]|盛[装大]|"
    "华[东润为人]|季[度节末]|白[血天酒菜色]|田[地间园]|温[度室馨]|余[额款下热万人]|牛[肉奶]|毛[巾利重]|陈[述列旧设]|张[贴挂开]|"
    "李[子]|王[子牌]|黄[金豆山色油]|杨[梅树柳]|周[边围末转期岁年日]|徐[州]|孙[子女]|马[上路术鞍]|胡[同乱椒萝]|郭|林[业地木权]|"
    "罗[列马]|郑[重州]|谢[绝谢]|肖[像]|董[事]|叶[片子集]|杜[绝]|陆[续地]|范[围本例]|夏[季天]|顾[客问]|钱[款物财]|常[将常投见住务用年规]|"
    "齐[全]|庞[大]|颜[色]|庄[严重稼]|章[程]|甘[愿]|童[装]|凌[晨]|涂[改料]|辛[苦]|尤[其]|冷[藏冻链]|荣[誉]|仲[裁]|池[塘州]|"
    "万[达科佛元余平人套吨]|莫[名]|温[馨]|史[料]|龙[凤头]|苗[木圃]|谷[物]|曲[线]|蓝[色天]|阳[台光性]|台[湾账]|储[存蓄备]|束[缚]|桂[花]|"
    "柏[油]|霍[山邱]|林[芝]|焦[虑急]|罗[平]|梁[平]|童[年]|水[电]|麦[子]|沙[石子]|桑[蚕]|苏[州]|宋[体]|唐[突]|钟[点表]|秦[皇]|雷[电]|段[落]|汤[料]|沈[阳]|宁[波夏]|兰[州]|柳[州树]|"
    "梅[花]|丁[字]|彭[湃]|曹[操]|韩[国]|吴[江]|赵[州]|朱[红]|侯[车]|葛[根]|来[电访]"
).replace("|郭|", "|")
_SPACE_OR_DOT = "[ ·]?"
# Given names of peoples who have no surnames, or write none: Tibetan, Uyghur and Kazakh, Mongolian. Places, things and
# common words that look like one are left out (拉萨、呼和、白马).
_GIVEN = (
    "扎西|卓玛|次仁|才仁|才让|达瓦|尼玛|索朗|索南|旺堆|旺姆|旺久|拉姆|央金|央宗|格桑|多吉|多杰|平措|白玛|仁增|仁青|德吉|曲珍|曲吉|丹增|旦增|"
    "洛桑|罗桑|巴桑|边巴|普布|米玛|拉巴|顿珠|群培|强巴|云丹|贡布|措姆|卓嘎|桑杰|嘉措|江措|加措|次旺|次丹|晋美|坚赞|坚参|土登|阿旺|"
    "阿依|古丽|努尔|买买提|艾力|艾合买提|阿卜杜拉|阿布都|吐尔逊|吐尔洪|热合曼|依明|玉素甫|玉素普|麦麦提|木合塔尔|帕提古丽|阿迪力|"
    "阿孜古丽|热依汗|萨迪克|卡德尔|库尔班|肉孜|托合提|依布拉音|艾尼瓦尔|米热|迪丽|热巴|"
    "巴特尔|其其格|娜仁|托娅|苏日娜|格日勒|巴图|那日苏|萨日娜|乌日娜|斯琴|高娃|朝鲁|宝音|额尔敦|敖登|乌兰|哈斯"
)
_MADE_OF_GIVEN = f"(?:{_GIVEN}){{1,3}}"
# Surnames and syllables in pinyin, of texts in capitals.
_PINYIN_SURNAMES = (
    "WANG|LI|ZHANG|LIU|CHEN|YANG|ZHAO|HUANG|ZHOU|WU|XU|SUN|HU|ZHU|GAO|LIN|HE|GUO|MA|LUO|LIANG|SONG|ZHENG|XIE|HAN|TANG|FENG|"
    "YU|DONG|XIAO|CHENG|CAO|YUAN|DENG|XUE|LU|FU|SHEN|ZENG|PENG|LYU|LV|SU|JIANG|CAI|JIA|DING|WEI|YE|YAN|PAN|DU|DAI|XIA|ZHONG|"
    "TIAN|REN|FAN|FANG|SHI|YAO|TAN|LIAO|ZOU|XIONG|JIN|HAO|KONG|BAI|CUI|KANG|MAO|QIU|QIN|GU|HOU|SHAO|MENG|LONG|WAN|DUAN|QIAN|"
    "YIN|LEI|YI|CHANG|WEN|NIE|OUYANG|SIMA|ZHUGE"
)
_SYLLABLE = (
    "(?:ZH|CH|SH|[BPMFDTNLGKHJQXRZCSYW])?"
    "(?:IANG|IONG|UANG|ANG|ENG|ING|ONG|IAN|IAO|UAI|UAN|AI|AN|AO|EI|EN|ER|IA|IE|IN|IU|OU|UA|UE|UI|UN|UO|VE|A|E|I|O|U|V)"
)
_DIVISION = "(?:SHENG|SHI|QU|XIAN|ZHEN|XIANG|CUN|JIE|LU|DADAO|JIEDAO)"
_PINYIN = f"(?:{_PINYIN_SURNAMES})[ ,]{{1,2}}{_SYLLABLE}(?:[ '-]?{_SYLLABLE})?"
_TITLES = "(?:同志|先生|女士|小姐|老师|医生|师傅)"
_LIKELY = f"(?:{_COMPOUND}|[{_SAFE}{_OTHERS}]){_SPACE_OR_DOT}[{_HAN}]?[{_USUAL}]"
_LISTED = f"(?:(?:{_COMPOUND})[{_HAN}]{{1,2}}|[{_SAFE}][{_HAN}]?[{_USUAL}]|[{_OTHERS}][{_HAN}][{_USUAL}])"
_AFTER = f"(?:$|[^{_HAN}]|[{_GOES_ON}])"
# Said outright, any name will do; right after the role it begins with a safe surname or ends as names usually do.
_SURE = f"(?:{_COMPOUND}|[{_SAFE}{_OTHERS}]){_SPACE_OR_DOT}[{_HAN}]{{1,2}}"
_PROBABLE = f"(?:(?:{_COMPOUND}|[{_SAFE}]){_SPACE_OR_DOT}[{_HAN}]{{1,2}}|{_LIKELY})"
_SAID = "(?:[)）】]?(?:姓名)?[:： ]+|[（(【]|姓名|名叫)"

_AROUND = (
    f"(?:{_ROLES}){_SAID}({_SURE}){_AFTER}",
    f"(?:{_ROLES})(?:是|为|系)?({_PROBABLE}){_AFTER}",
    f"(?:我叫|我是|本人叫?)({_PROBABLE}){_AFTER}",
    f"({_PROBABLE}){_TITLES}",
    f"由({_LIKELY})(?:负责|办理|经办|签收|接待|承办|处理|领取|代)",
    f"({_LIKELY})(?:代为|代签|代领|代办|代收)",
    f"({_LIKELY})的(?:房屋|房子|车辆|手机|电话|身份证|户口|住址|家属|孩子|儿子|女儿|妻子|丈夫|父亲|母亲)",
    f"(?:{_ROLES}){_SAID}([{_HAN}]{{2,6}}·[{_HAN}]{{2,6}})",
    f"(?:{_ROLES})(?:{_SAID}|是|为|系)?({_MADE_OF_GIVEN}){_AFTER}",
    f"(?:{_ROLES}|NAME|CONTACT){_SAID}({_PINYIN}) ?(?:[^A-Z ]|$)",
    f"({_PROBABLE})(?:[(（,，](?:男|女)[,，)）]|等[0-9一二两三四五六七八九十]*人)",
)
_LIST = f"({_LISTED}(?:[、,;] ?|和|与|及){_LISTED})(?:[^{_HAN}]|$|[{_GOES_ON}]|等|[一二两三四五六七八九十]人)"
_ANY = "|".join((*_AROUND, _LIST))
_WHOLE = (
    f"^(?:(?:[{_SAFE}{_OTHERS}]|{_COMPOUND}) *[{_HAN}] ?[{_HAN}]?|[{_HAN}]{{2,6}}·[{_HAN}]{{2,6}}"
    f"|{_MADE_OF_GIVEN}|{_PINYIN})$"
)

_OTHER = f"regexp_matches(w, {literal(f'^(?:{_WORDS})|某|{_BODY}')})"
"""Whether a find `w` is a common word, left out or a body."""


def is_name(text: str) -> str:
    """Whether a text is a name and nothing else."""
    other = f"{_PLACE_OR_THING}|[ ,]{_DIVISION}$"
    return f"regexp_matches({text}, {literal(_WHOLE)}) AND NOT regexp_matches({text}, {literal(other)})"


def holds_name(text: str, overruled: Mapping[str, str] | None = None) -> str:
    """Whether a name stands in a sentence. The first test costs one look at the text; few rows reach the others.

    `overruled`: texts by the condition that they stand in the sentence; a name that is a part of one is none.
    """
    words = f"(?:^|[^{_HAN}]|[和与及])(?:{_WORDS})"
    held = [f"({stands} AND contains({longer}, w))" for stands, longer in (overruled or {}).items()]
    found = [
        *(_some(text, around, [_OTHER, *held]) for around in _AROUND),
        _some(text, _LIST, [f"regexp_matches(w, {literal(words)})", *held]),
    ]
    return f"CASE WHEN regexp_matches({text}, {literal(_ANY)}) THEN {' OR '.join(found)} ELSE false END"


def before_of(text: str) -> str:
    """Whether what looks like a name stands before 的."""
    return _some(text, f"({_LIKELY})的", [_OTHER])


def looks_named(text: str) -> str:
    """Whether anything in a sentence looks like a name."""
    return _some(text, f"({_LIKELY})", [_OTHER])


def _some(text: str, pattern: str, other: Sequence[str]) -> str:
    """Whether any find `w` of a pattern's group is nothing other."""
    finds = f"regexp_extract_all({text}, {literal(pattern)}, 1)"
    return f"len(list_filter({finds}, lambda w: NOT ({' OR '.join(other)}))) > 0"
