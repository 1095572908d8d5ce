<?php
// The handlers that the worker calls: prepended to it by the test.

function handleOrder(array $payload): void
{
    echo 'handled ', json_encode(['order' => $payload, 'headers' => $GLOBALS['headers'], 'queue' => $GLOBALS['queue']]), "\n";
}

function sendEmail(array $payload): void
{
    echo 'handled ', json_encode(['mail' => $payload, 'headers' => $GLOBALS['headers'], 'queue' => $GLOBALS['queue']]), "\n";
}
