// For tests: what a server makes of the same components.
import { renderToString } from "react-dom/server";
import { Chat } from "./chat.js";
import { Support } from "./widget.js";

export const widget = () => renderToString(<Support accent="#112233" user={{ id: "ada", token: "t" }} />);
export const chat = () => renderToString(<Chat />);
