<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Jobs;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Fpm;
use PHPUnit\Framework\Attributes\DataProvider;

/** Pipelines by configuration: its sources, its meaning, and its errors. */
final class JobsTest extends ContractTestCase
{
    /** @var list<string> */
    private array $files = [];

    private function file(string $text, string $extension = '.yaml'): string
    {
        $file = $this->files[] = sys_get_temp_dir() . '/amqp1-jobs-' . bin2hex(random_bytes(6)) . $extension;
        file_put_contents($file, $text);

        return $file;
    }

    protected function tearDown(): void
    {
        array_map('unlink', array_filter($this->files, 'file_exists'));
        $this->files = [];
        foreach (['AMQP1_CONFIG', 'JOBS_TEST'] as $name) {
            putenv($name);
            unset($_ENV[$name], $_SERVER[$name]);
        }
        ini_restore('amqp1.config');
        parent::tearDown();
    }

    /** @return array<string, array{string, string}> */
    public static function spellings(): array
    {
        $json = '{"amqp1": {"addr": "embedded://spellings"}, "jobs": {"consume": ["two"], "pipelines": {
            "one": {"driver": "amqp1", "config": {"priority": 7}}, "two": {"driver": "amqp1"}}}}';
        $yaml = "amqp1: {addr: 'embedded://spellings'}\njobs:\n  consume: [two]\n  pipelines:\n"
            . "    one:\n      driver: amqp1\n      config: {priority: 7}\n    two: {driver: amqp1}\n";

        return [
            '.json' => [$json, '.json'],
            '.JSON' => [$json, '.JSON'],
            '.yaml' => [$yaml, '.yaml'],
            '.yml' => [$yaml, '.yml'],
            'no extension, JSON' => [$json, ''],
            'no extension, YAML' => [$yaml, ''],
            'another extension' => ["\u{feff}$yaml", '.conf'],
        ];
    }

    /** @dataProvider spellings */
    #[DataProvider('spellings')]
    public function testAFileSaysWhatAnArrayDoes(string $text, string $extension): void
    {
        $jobs = new Jobs($this->file($text, $extension));

        self::assertSame(['one', 'two'], array_keys(iterator_to_array($jobs)));
        self::assertCount(2, $jobs);
        $queue = $jobs->create('one');
        self::assertSame('one', $queue->getName());
        $queue->purge();
        $queue->push('job');
        $task = $this->take($jobs->connect('one'));
        self::assertSame([7, 'one'], [$task->getPriority(), $task->getPipeline()]);
    }

    public function testTheDocumentationIsCompleteAndLoads(): void
    {
        $documentation = file_get_contents(__DIR__ . '/../docs/configuration.md');
        self::assertSame(1, preg_match('/<!-- complete -->\n```yaml\n(.*?)```/s', $documentation, $match));
        // PHPUnit makes an exception of a warning.
        $jobs = new Jobs($this->file($match[1]));
        self::assertSame(['orders', 'mails'], array_keys(iterator_to_array($jobs)));

        $thrown = $this->thrown(ConfigException::class, static fn () => new Jobs(['jobs' => ['pipelines' => ['x' => ['config' => ['~' => 1]]]]]));
        [, $known] = explode('known keys: ', $thrown->getMessage());
        foreach (explode(', ', $known) as $key) {
            self::assertMatchesRegularExpression("/^ *(# *)?$key:/m", $match[1], "$key is in the example");
        }
    }

    public function testAnUnknownPipelineNamesTheNearest(): void
    {
        $jobs = new Jobs(['amqp1' => ['addr' => 'embedded://'], 'jobs' => ['pipelines' => [
            'orders' => ['driver' => 'amqp1'],
            'cache' => ['driver' => 'memory', 'config' => ['priority' => 10]],
        ]]]);

        $message = $this->thrown(ConfigException::class, static fn () => $jobs->create('ordres'))->getMessage();
        self::assertSame("Jobs::create(): unknown pipeline 'ordres', did you mean 'orders'?", $message);
        $message = $this->thrown(ConfigException::class, static fn () => $jobs->connect('x'))->getMessage();
        self::assertSame("Jobs::connect(): unknown pipeline 'x'; known pipelines: orders", $message);
        $message = $this->thrown(ConfigException::class, static fn () => $jobs->create('cache'))->getMessage();
        self::assertStringContainsString("'memory'", $message);
        $this->thrown(ConfigException::class, static fn () => $jobs->pause('orders', 'ordres'));
        $this->thrown(ConfigException::class, static fn () => $jobs->pause());
        $this->thrown(\TypeError::class, static fn () => $jobs->pause(['orders']));
        $this->thrown(\TypeError::class, static fn () => $jobs->create([]));
        self::assertCount(1, $jobs);
    }

    /** @return array<string, array{array<mixed>, string}> */
    public static function mistakes(): array
    {
        $config = static fn (array $config) => ['jobs' => ['pipelines' => ['orders' => ['driver' => 'amqp1', 'config' => $config]]]];
        $path = 'jobs.pipelines.orders.config';

        return [
            'a value' => [$config(['prefetch' => 'ten']), "$path.prefetch: expected an int from 1 to 65535, got string 'ten'"],
            'a type' => [$config(['queue' => []]), "$path.queue: expected a string, got list"],
            'a name' => [$config(['prefetsh' => 10]), "$path.prefetsh: unknown key, did you mean 'prefetch'?"],
            'an object' => [$config(['priority' => new \stdClass()]), "$path.priority: expected a scalar or an array, got stdClass"],
            'binary' => [$config(['queue' => "\xff"]), "$path.queue: expected UTF-8 text"],
            'TLS' => [$config(['tls' => ['cert' => '/c']]), "$path.tls: 'cert' and 'key' must be set together"],
            'a variable' => [$config(['queue' => '${JOBS_TEST}']), "$path.queue: the environment variable JOBS_TEST is not set"],
            'consume' => [['jobs' => ['consume' => ['a']]], "jobs.consume[0]: unknown pipeline 'a': the configuration defines none"],
            'a section' => [['amqp1' => 5], 'amqp1: expected an array of name => value, got int 5'],
            'another section' => [['amqp' => [], 'job' => []], "job: unknown key, did you mean 'jobs'?"],
            'nothing of ours' => [['http' => []], "the configuration has neither 'amqp1' nor 'jobs'"],
            'a list' => [[1, 2], "the configuration has neither 'amqp1' nor 'jobs'"],
            'empty' => [[], "the configuration has neither 'amqp1' nor 'jobs'"],
        ];
    }

    /** @dataProvider mistakes @param array<mixed> $configuration */
    #[DataProvider('mistakes')]
    public function testAMistakeHasThePathOfItsKey(array $configuration, string $message): void
    {
        $thrown = $this->thrown(ConfigException::class, static fn () => new Jobs($configuration));

        self::assertStringStartsWith("Jobs::__construct(): $message", $thrown->getMessage());
    }

    public function testAMistakeInAFileHasThePathOfTheFileToo(): void
    {
        $file = $this->file("jobs: {pipelines: {orders: {config: {prefetch: ten}}}}");
        $thrown = $this->thrown(ConfigException::class, static fn () => new Jobs($file));

        self::assertSame("Jobs::__construct(): $file: jobs.pipelines.orders.config.prefetch: expected an int from 1 to 65535, got string 'ten'",
            $thrown->getMessage());
    }

    public function testFilesThatAreNone(): void
    {
        $bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
        for ($level = 1; $level < 40; $level++) {
            $bomb .= "a$level: &a$level [" . str_repeat('*a' . ($level - 1) . ', ', 9) . "]\n";
        }
        $fifo = $this->files[] = sys_get_temp_dir() . '/amqp1-fifo-' . bin2hex(random_bytes(4));
        posix_mkfifo($fifo, 0600);
        $cases = [
            ['/does/not/exist.yaml', 'cannot be read'],
            [sys_get_temp_dir(), 'is not a file'],
            [$fifo, 'is not a file'],
            ['/dev/zero', 'is not a file'],
            ['', 'the path of the configuration is empty'],
            ["amqp1:\n  addr: s3cret", 'its content'],
            [$this->file(str_repeat('# comment', 200000)), 'larger than 1 MiB'],
            [$this->file("a: \xff"), 'is not UTF-8'],
            [$this->file("a: [s3cret"), ': line 2, column 1: '],
            [$this->file("a: s3cret\na: s3cret"), "duplicate key 'a'"],
            [$this->file('{"a": s3cret}', '.json'), 'line 1 column '],
            [$this->file($bomb), 'too large for a configuration'],
            [$this->file(str_repeat('[', 100000)), 'line 1, column '],
            [$this->file(''), "neither 'amqp1' nor 'jobs'"],
            [$this->file('s3cret'), 'expected an array of name => value'],
        ];
        $start = microtime(true);
        foreach ($cases as [$path, $part]) {
            $thrown = $this->thrown(ConfigException::class, static fn () => new Jobs($path));
            self::assertStringContainsString($part, $thrown->getMessage());
            self::assertStringNotContainsString('s3cret', $thrown->getMessage());
        }
        self::assertLessThan(20.0, microtime(true) - $start, 'none of them holds anything up');
    }

    public function testWithoutAConfigurationTheThreeWaysAreNamed(): void
    {
        foreach ([static fn () => new Jobs(), static fn () => new Jobs(null), static fn () => new Consumer(), static fn () => new Consumer(null)] as $make) {
            $message = $this->thrown(ConfigException::class, $make)->getMessage();
            foreach (['array', 'YAML or JSON', 'amqp1.config', 'AMQP1_CONFIG'] as $way) {
                self::assertStringContainsString($way, $message);
            }
        }
    }

    public function testTheEnvironmentGoesBeforePhpIni(): void
    {
        $file = fn (string $name) => $this->file("amqp1: {addr: 'embedded://'}\njobs: {pipelines: {{$name}: {}}}");
        $names = static fn () => array_keys(iterator_to_array(new Jobs()));

        ini_set('amqp1.config', $file('ini'));
        self::assertSame(['ini'], $names());
        $_SERVER['AMQP1_CONFIG'] = $file('server');
        self::assertSame(['server'], $names());
        $_ENV['AMQP1_CONFIG'] = $file('dotenv');
        self::assertSame(['dotenv'], $names());
        putenv('AMQP1_CONFIG=' . $file('environment'));
        self::assertSame(['environment'], $names());
        self::assertStringContainsString(getenv('AMQP1_CONFIG'), (string) self::information(), 'phpinfo() shows which');
        putenv('AMQP1_CONFIG=');
        self::assertSame(['ini'], $names(), 'an empty one is none');
    }

    private static function information(): string
    {
        ob_start();
        (new \ReflectionExtension('amqp1'))->info();

        return (string) ob_get_clean();
    }

    public function testVariablesAreTypedByTheirOptions(): void
    {
        putenv('JOBS_TEST=3');
        $jobs = new Jobs(['amqp1' => ['addr' => '${JOBS_TEST_ADDR:-embedded://variables}'], 'jobs' => ['pipelines' => ['orders' => [
            'driver' => '${JOBS_TEST_DRIVER:-amqp1}',
            'config' => ['priority' => '${JOBS_TEST}', 'durable' => '${JOBS_TEST_DURABLE:-false}', 'delay' => '${JOBS_TEST_DELAY:-0}',
                'queue' => 'orders-${JOBS_TEST}', 'arguments' => ['x-max-length' => '${JOBS_TEST_MAX:-100}']],
        ]]]]);
        $queue = $jobs->create('orders');
        $queue->setup();
        $queue->push('job');

        self::assertSame(3, $this->take(new AmqpQueue('embedded://variables', 'orders-3'))->getPriority());
    }

    public function testAClientsHeadersAreNoVariables(): void
    {
        $_SERVER['HTTP_JOBS_TEST'] = 'embedded://';
        try {
            $thrown = $this->thrown(ConfigException::class, static fn () => new Jobs(['amqp1' => ['addr' => '${HTTP_JOBS_TEST}']]));
            self::assertStringContainsString('HTTP_JOBS_TEST is not set', $thrown->getMessage());
        } finally {
            unset($_SERVER['HTTP_JOBS_TEST']);
        }
    }

    public function testAChangedFileIsReadAgain(): void
    {
        $file = $this->file("jobs: {pipelines: {before: {}}}\namqp1: {addr: 'embedded://'}");
        touch($file, time() - 100);
        $names = static fn () => array_keys(iterator_to_array(new Jobs($file)));
        self::assertSame(['before'], $names());
        self::assertSame(['before'], $names());
        // Of the same length, and soon after.
        file_put_contents($file, "jobs: {pipelines: {beyond: {}}}\namqp1: {addr: 'embedded://'}");
        self::assertSame(['beyond'], $names());
        file_put_contents($file, "jobs: {pipelines: {at_end: {}}}\namqp1: {addr: 'embedded://'}");
        self::assertSame(['at_end'], $names());
        unlink($file);
        $this->thrown(ConfigException::class, $names);
    }

    public function testWarningsAreGivenOnceAProcess(): void
    {
        $file = $this->file("amqp1: {addr: 'amqps://k:v@n.servicebus.windows.net'}\njobs:\n  pipelines:\n"
            . "    orders: {config: {exchange: orders, exchange_type: topic, exclusive: true}}\n");
        $output = Child::run('new Amqp1\Jobs($argv[1]); new Amqp1\Jobs($argv[1]); echo "end";', [$file], ['-d', 'html_errors=0', '-d', 'log_errors=0']);

        foreach (['exchange', 'exchange_type', 'exclusive'] as $key) {
            $warning = "Warning: Amqp1\\Jobs::__construct(): $file: jobs.pipelines.orders.config.$key: has no effect on Azure Service Bus";
            self::assertSame(1, substr_count($output, $warning), $output);
        }
        self::assertSame(3, substr_count($output, 'Warning'), $output);
        self::assertStringEndsWith('end', $output);
    }

    public function testUnderFpmWarningsAreGivenOnceAWorkerAndAChangedFileIsRead(): void
    {
        $yaml = "amqp1: {addr: 'embedded://', tls: {root_ca: /ca}}\njobs: {pipelines: {%s: {}}}";
        $file = $this->file(sprintf($yaml, 'one'));
        touch($file, time() - 100);
        $fpm = new Fpm(1, ['env[AMQP1_CONFIG]' => $file, 'php_admin_value[display_errors]' => '1', 'php_admin_value[log_errors]' => '0', 'php_admin_value[html_errors]' => '0']);
        $script = $fpm->script('foreach (new Amqp1\Jobs() as $name => $queue) { echo $name; }');

        self::assertMatchesRegularExpression('/^\s*Warning: .*amqp1\.tls: .*\none/s', $fpm->client->request($script));
        self::assertSame('one', $fpm->client->request($script));
        file_put_contents($file, sprintf($yaml, 'two'));
        self::assertSame('two', $fpm->client->request($script));
    }

    public function testAWarningMayBecomeAnException(): void
    {
        $name = bin2hex(random_bytes(4));
        $configuration = ['amqp1' => ['addr' => 'amqp://h'], 'jobs' => ['pipelines' => [$name => ['config' => ['tls' => ['root_ca' => '/ca']]]]]];
        set_error_handler(static fn (int $level, string $message) => throw new \ErrorException($message, $level));
        try {
            $thrown = $this->thrown(\ErrorException::class, static fn () => new Jobs($configuration));
        } finally {
            restore_error_handler();
        }

        self::assertSame(E_WARNING, $thrown->getCode());
        self::assertStringContainsString("jobs.pipelines.$name.config.tls: has no effect, because the address is not encrypted", $thrown->getMessage());
        self::assertCount(1, new Jobs($configuration), 'once');
    }

    public function testOpenBasedirIsKept(): void
    {
        $file = $this->file("amqp1: {addr: 'embedded://'}");
        $output = Child::run('try { new Amqp1\Jobs($argv[1]); } catch (Throwable $e) { echo $e->getMessage(); }', [$file],
            ['-d', 'open_basedir=' . __DIR__ . PATH_SEPARATOR . '/tmp/amqp1-test-']);

        self::assertStringContainsString('open_basedir does not allow this path', $output);
    }

    public function testItIsNoValue(): void
    {
        $jobs = new Jobs(['amqp1' => ['addr' => 'amqp://user:s3cret@h']]);
        $this->thrown(\Error::class, static fn () => clone $jobs);
        $this->thrown(\Exception::class, static fn () => serialize($jobs));
        $this->thrown(\Error::class, static fn () => $jobs->property = 1);

        self::assertStringNotContainsString('s3cret', print_r($jobs, true) . var_export($jobs, true) . json_encode($jobs));
    }
}
