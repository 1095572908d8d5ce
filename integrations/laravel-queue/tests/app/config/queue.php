<?php

return [
    'default' => 'amqp1',
    'connections' => [
        // 'dsn' and 'queue' come from the package: AMQP1_DSN and AMQP1_QUEUE.
        'amqp1' => json_decode(env('TEST_CONNECTION', '[]'), true),
        'second' => ['driver' => 'amqp1', 'dsn' => env('TEST_SECOND_DSN'), 'queue' => env('TEST_SECOND_QUEUE')],
    ],
    'batching' => ['database' => 'sqlite', 'table' => 'job_batches'],
    'failed' => ['driver' => env('TEST_FAILED', 'database-uuids'), 'database' => 'sqlite', 'table' => 'failed_jobs'],
];
