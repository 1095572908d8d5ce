<?php

/** The router of Receiver's web server: https://opentelemetry.io/docs/specs/otlp/#otlphttp */

declare(strict_types=1);

header('Content-Type: application/json');
$request = json_decode((string) file_get_contents('php://input'), true);
$status = match (true) {
    $_SERVER['REQUEST_URI'] !== '/v1/traces' => 404,
    $_SERVER['REQUEST_METHOD'] !== 'POST' => 405,
    ($_SERVER['CONTENT_TYPE'] ?? '') !== 'application/json' => 415,
    !is_array($request['resourceSpans'] ?? null) => 400,
    default => 200,
};
http_response_code($status);
if ($status === 200) {
    file_put_contents((string) getenv('OTLP_FILE'), json_encode($request, JSON_UNESCAPED_SLASHES) . "\n", FILE_APPEND | LOCK_EX);
}
echo '{}';
