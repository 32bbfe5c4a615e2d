//! Templates.

use std::fmt::Write as _;

use api::v1;
use api::v1::template_service_client::TemplateServiceClient;
use model::ProfileName;

use super::Context;
use crate::client::ANSWER_OCTETS_MAX;
use crate::error::Error;
use crate::{output, table};

pub(super) async fn list(context: Context<'_>) -> Result<(), Error> {
    let mut client =
        TemplateServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.list_templates(v1::ListTemplatesRequest {}).await;
    let answer = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &answer, |answer| {
        let rows = answer
            .templates
            .iter()
            .map(|t| [t.name.clone(), t.sst.to_string(), t.default_five_qi.to_string(), t.description.clone()]);
        table::table(&["template", "sst", "default 5qi", "description"], rows)
    })
}

pub(super) async fn show(context: Context<'_>, name: &ProfileName, explain: bool) -> Result<(), Error> {
    let mut client =
        TemplateServiceClient::new(context.manager.connect().await?).max_decoding_message_size(ANSWER_OCTETS_MAX);
    let answer = client.get_template(v1::GetTemplateRequest { name: name.to_string() }).await;
    let template = answer.map_err(|status| context.manager.failed(&status))?.into_inner();
    output::write(context.out, context.form, &template, |template| text(template, explain))
}

fn text(template: &v1::Template, explain: bool) -> String {
    let mut text = table::pairs(&[
        ("template", template.name.clone()),
        ("description", template.description.clone()),
        ("sst", template.sst.to_string()),
        ("default 5qi", template.default_five_qi.to_string()),
    ]);
    if explain {
        for line in &template.derivation {
            let _ = writeln!(text, "\n{}: {}", line.source, line.value);
            if line.field.is_empty() {
                let _ = writeln!(text, "    not used: {}", line.rule);
            } else {
                let _ = writeln!(text, "    {} = {}: {}", line.field, line.result, line.rule);
            }
        }
    } else {
        let rows = template.attributes.iter().map(|a| [a.name.clone(), a.value.clone()]);
        text += &table::part("attributes", &table::table(&["attribute", "value"], rows));
    }
    text
}
