//! A draft of `tools.toml` from the tool definitions of MCP (`tools/list`) or OpenAI.
//!
//! Names, descriptions and argument schemas are taken over. Risk, reversibility, exports and charges are left for a
//! person to declare: what a server says of its own tools is a hint in a comment, and an undeclared tool is denied.

use crate::manifest::is_tool_name;
use serde_json::Value;
use std::fmt::Write as _;

/// Drafts a manifest. Takes an MCP result (`{"tools": [..]}`), a list of MCP tools, or a list of OpenAI tools.
///
/// # Errors
/// What is not of one of these forms, a name that a manifest cannot hold, or a name that appears twice.
pub fn draft_manifest(definitions: &str) -> Result<String, String> {
    let parsed: Value =
        serde_json::from_str(definitions).map_err(|error| format!("it is not JSON: {error}"))?;
    let result = parsed.get("result").unwrap_or(&parsed);
    let tools = result.get("tools").unwrap_or(result).as_array();
    let tools = tools.ok_or("it is neither a list of tools nor an object with `tools`")?;
    let mut text = String::from(
        "# Draft. Declare risk, reversible, exports and charges of every tool: until then each call of it is denied.\n\
         version = 1\n",
    );
    let mut names = Vec::new();
    for (number, tool) in tools.iter().enumerate() {
        // OpenAI nests the function in chat completions and does not in responses.
        let tool = tool.get("function").unwrap_or(tool);
        let name =
            tool.get("name").and_then(Value::as_str).ok_or(format!("tool {number} has no name"))?;
        if !is_tool_name(name) {
            return Err(format!(
                "tool {number} has a name that is not letters, digits and `_ - . / :`, at most 128"
            ));
        }
        if names.contains(&name) {
            return Err(format!("the tool `{name}` appears twice"));
        }
        names.push(name);
        let _ = write!(text, "\n[tool.{}]\n", toml::Value::String(name.to_owned()));
        if let Some(description) = tool.get("description").and_then(Value::as_str) {
            let _ = writeln!(text, "description = {}", toml::Value::String(description.to_owned()));
        }
        let hint = |key: &str| {
            tool.get("annotations").and_then(|hints| hints.get(key)).and_then(Value::as_bool)
        };
        let says = |key: &str, meaning: &str| match hint(key) {
            Some(value) => format!("; the server says {meaning}: {value}"),
            None => String::new(),
        };
        let _ = writeln!(
            text,
            "# risk = \"low\" | \"medium\" | \"high\" | \"critical\"{}",
            says("readOnlyHint", "it only reads")
        );
        let _ =
            writeln!(text, "# reversible = true | false{}", says("destructiveHint", "it destroys"));
        let _ = writeln!(
            text,
            "# exports = true | false{}",
            says("openWorldHint", "it reaches the open world")
        );
        text.push_str("# charges = [{ budget = \"calls\", unit = \"calls\", amount = 1 }]\n");
        let keys =
            [("args", ["inputSchema", "parameters"]), ("returns", ["outputSchema", "returns"])];
        for (key, sources) in keys {
            let schema = sources
                .iter()
                .find_map(|source| tool.get(*source))
                .filter(|schema| schema.is_object());
            let Some(schema) = schema else { continue };
            let pretty = serde_json::to_string_pretty(schema).map_err(|error| error.to_string())?;
            if pretty.contains("'''") {
                let _ = writeln!(text, "{key} = {}", toml::Value::String(pretty));
            } else {
                let _ = writeln!(text, "{key} = '''\n{pretty}\n'''");
            }
        }
    }
    if names.is_empty() {
        return Err("there is no tool in it".to_owned());
    }
    Ok(text)
}
