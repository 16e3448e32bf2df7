// The emoji shortcodes apps use most; an unknown one stays text, as in Slack.

const TABLE = `+1 👍|-1 👎|thumbsup 👍|thumbsdown 👎|white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌|negative_squared_cross_mark ❎
warning ⚠️|no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑|rotating_light 🚨|exclamation ❗|grey_exclamation ❕|question ❓|grey_question ❔|information_source ℹ️|bangbang ‼️
hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|timer_clock ⏲️|alarm_clock ⏰|clock1 🕐|clock3 🕒|calendar 📆|date 📅|spiral_calendar_pad 🗓️
robot_face 🤖|brain 🧠|bulb 💡|gear ⚙️|wrench 🔧|hammer_and_wrench 🛠️|toolbox 🧰|package 📦|rocket 🚀|ship 🚢|construction 🚧|building_construction 🏗️|fire 🔥|boom 💥|zap ⚡|bug 🐛
eyes 👀|wave 👋|raised_hand ✋|hand ✋|pray 🙏|clap 👏|muscle 💪|point_right 👉|point_left 👈|point_up ☝️|point_down 👇|ok_hand 👌|handshake 🤝|raised_hands 🙌|writing_hand ✍️
bust_in_silhouette 👤|busts_in_silhouette 👥|technologist 🧑‍💻|cop 👮|detective 🕵️|crown 👑|shield 🛡️|lock 🔒|unlock 🔓|closed_lock_with_key 🔐|key 🔑|bell 🔔|no_bell 🔕|mega 📣|loudspeaker 📢
red_circle 🔴|large_orange_circle 🟠|large_yellow_circle 🟡|large_green_circle 🟢|large_blue_circle 🔵|large_purple_circle 🟣|white_circle ⚪|black_circle ⚫|large_orange_diamond 🔶|large_blue_diamond 🔷|small_red_triangle 🔺|black_square_button 🔲
arrow_right ➡️|arrow_left ⬅️|arrow_up ⬆️|arrow_down ⬇️|arrows_counterclockwise 🔄|repeat 🔁|leftwards_arrow_with_hook ↩️|rewind ⏪|fast_forward ⏩|double_vertical_bar ⏸️|pause_button ⏸️|arrow_forward ▶️|black_square_for_stop ⏹️|twisted_rightwards_arrows 🔀|loop ➿|infinity ♾️
memo 📝|pencil 📝|pencil2 ✏️|clipboard 📋|page_facing_up 📄|scroll 📜|bookmark_tabs 📑|link 🔗|paperclip 📎|pushpin 📌|round_pushpin 📍|mag 🔍|mag_right 🔎|label 🏷️|ticket 🎫|receipt 🧾|file_folder 📁|card_index_dividers 🗂️|inbox_tray 📥|outbox_tray 📤|envelope ✉️|email 📧|speech_balloon 💬|thought_balloon 💭
bar_chart 📊|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|moneybag 💰|money_with_wings 💸|dollar 💵|euro 💶|credit_card 💳|shopping_trolley 🛒|factory 🏭|truck 🚚|office 🏢|globe_with_meridians 🌐|earth_africa 🌍|satellite 🛰️|computer 💻|desktop_computer 🖥️|floppy_disk 💾|electric_plug 🔌|battery 🔋|test_tube 🧪|scales ⚖️|balance_scale ⚖️|classical_building 🏛️
tada 🎉|sparkles ✨|star ⭐|trophy 🏆|medal 🏅|checkered_flag 🏁|triangular_flag_on_post 🚩|white_flag 🏳️|heart ❤️|blue_heart 💙|green_heart 💚|100 💯|dart 🎯|seedling 🌱|coffee ☕|zzz 💤|sleeping 😴|ghost 👻|skull 💀
smile 😄|slightly_smiling_face 🙂|grinning 😀|joy 😂|wink 😉|thinking_face 🤔|neutral_face 😐|confused 😕|worried 😟|cry 😢|sob 😭|scream 😱|sunglasses 😎|shrug 🤷|facepalm 🤦|see_no_evil 🙈
one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|heavy_plus_sign ➕|heavy_minus_sign ➖|new 🆕|free 🆓|sos 🆘|vs 🆚|ok 🆗|up 🆙|back 🔙|soon 🔜|snail 🐌|turtle 🐢|rabbit 🐇|bee 🐝|whale 🐳|elephant 🐘`;

const EMOJI = new Map(TABLE.split(/[|\n]/).map((pair) => [pair.slice(0, pair.indexOf(" ")), pair.slice(pair.indexOf(" ") + 1)]));

export function emoji(name) {
  return EMOJI.get(name);
}
