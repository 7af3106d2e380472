const express = require("express");
const crypto = require("crypto");
const app = express();
const PORT = 3000;
// =============================================
// INSERT YOUR VALUES FROM THE CAVUER DASHBOARD
// =============================================
const WIDGET_TOKEN = "wgt_INSERT_PUBLIC_TOKEN";
const SECRET_KEY = "sk_INSERT_SECRET_KEY";
const WIDGET_SCRIPT = "https://agent.example/embed.js";
// =============================================
// Test users
// =============================================
const USERS = {
john: { id: "john@example.com", name: "John" },
anna: { id: "anna@example.com", name: "Anna" },
guest: null, // no identification
};
function computeHash(userId) {
return crypto
.createHmac("sha256", SECRET_KEY)
.update(userId)
.digest("hex");
}
// Home page — user selection
app.get("/", (req, res) => {
res.send(`
<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>Widget Identification Test</title>
<style>
body { font-family: sans-serif; max-width: 600px; margin: 40px auto; }
a { display: block; margin: 10px 0; padding: 12px 20px;
background: #6C47FF; color: white; text-decoration: none;
border-radius: 8px; text-align: center; }
a:hover { background: #5a3ad9; }
.guest { background: #666; }
.guest:hover { background: #555; }
</style>
</head>
<body>
<h1>Widget Identification Test</h1>
<p>Select a user to test:</p>
<a href="/chat/john">John (john@example.com)</a>
<a href="/chat/anna">Anna (anna@example.com)</a>
<a href="/chat/guest" class="guest">Guest (no identification)</a>
</body>
</html>
`);
});
// Chat page for a specific user
app.get("/chat/:userKey", (req, res) => {
const user = USERS[req.params.userKey];
const hash = user ? computeHash(user.id) : null;
const scriptTag = user
? '<script src="' + WIDGET_SCRIPT + '" data-token="' + WIDGET_TOKEN
+ '" data-user-id="' + user.id
+ '" data-user-hash="' + hash + '"></script>'
: '<script src="' + WIDGET_SCRIPT + '" data-token="'
+ WIDGET_TOKEN + '"></script>';
const displayName = user
? user.name + " (" + user.id + ")"
: "Guest (no identification)";
res.send(`
<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>Chat — ${displayName}</title>
<style>
body { font-family: sans-serif; max-width: 600px; margin: 40px auto; }
.badge { display: inline-block; padding: 6px 14px;
border-radius: 6px; font-size: 14px; margin-bottom: 16px; }
.identified { background: #dcfce7; color: #166534; }
.anonymous { background: #fef3c7; color: #92400e; }
a { color: #6C47FF; }
pre { background: #f1f5f9; padding: 12px; border-radius: 8px;
font-size: 12px; overflow-x: auto; }
</style>
</head>
<body>
<a href="/">← Back to user selection</a>
<h1>${displayName}</h1>
<span class="badge ${user ? "identified" : "anonymous"}">
${user ? "Identified user" : "Anonymous visitor"}
</span>
${user ? `
<h3>Identification data:</h3>
<pre>user-id: ${user.id}\nuser-hash: ${hash}</pre>
` : `
<p>The widget is running in default mode — random visitor ID.</p>
`}
<p>Open the widget in the bottom-right corner and send a message.</p>
${scriptTag}
</body>
</html>
`);
});
app.listen(PORT, () => {
console.log("Test server running: 'test domain':" + PORT);
console.log("Add 'test domain':" + PORT
+ " to the widget's allowed domains in the Cavuer dashboard");
});
